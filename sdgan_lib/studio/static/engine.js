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

    /* inputs: name -> [values, shape]. The values of the graph's outputs by name. */
    async outputs(name, inputs) {
      const tensors = Object.entries(inputs).map(([key, [values, shape]]) => [key, new ort.Tensor("float32", values, shape)]);
      const found = await sessions[name].run(Object.fromEntries(tensors));
      return Object.fromEntries(Object.entries(found).map(([key, { data }]) => [key, data]));
    },

    /* The same of a graph with one output: its values. */
    async run(name, inputs) {
      return Object.values(await engine.outputs(name, inputs))[0];
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
