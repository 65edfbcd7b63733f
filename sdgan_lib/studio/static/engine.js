/* Runs the networks' graphs: beside the page in a worker, or in the page itself where it may have no worker.

It stands behind onnxruntime-web, which calls itself globalThis.ort, in one plain script: browsers start a worker of a file
that was opened from disk from a plain script only, not from a module. */
{
  const sessions = {};

  const engine = {
    start(wasm) {
      ort.env.wasm.numThreads = 1;
      ort.env.wasm.wasmBinary = wasm.buffer;
    },

    /* A graph and the large weights that were put apart from it. */
    async load(name, model, weights) {
      sessions[name] = await ort.InferenceSession.create(model, {
        executionProviders: ["wasm"],
        externalData: [{ path: "weights", data: weights }],
      });
    },

    /* inputs: name -> [values, shape]. The values of the graph's one output. */
    async run(name, inputs) {
      const tensors = Object.entries(inputs).map(([key, [values, shape]]) => [key, new ort.Tensor("float32", values, shape)]);
      const [output] = Object.values(await sessions[name].run(Object.fromEntries(tensors)));
      return output.data;
    },
  };

  if (globalThis.document) {
    globalThis.engine = engine;
  } else {
    onmessage = async ({ data: { id, call, values } }) => {
      try {
        postMessage({ id, result: await engine[call](...values) });
      } catch (error) {
        postMessage({ id, fault: String(error.message ?? error) });
      }
    };
    postMessage({ id: 0 });
  }
}
