// Watches JupyterLab from inside the page: kernel messages, cells, and the pictures that controls move.
(() => {
  if (window.lab) return;
  const lab = (window.lab = { errors: [], done: null });
  lab.panel = () => {
    const widget = window.jupyterapp?.shell?.currentWidget;
    return widget?.content?.model?.cells && widget.context?.isReady ? widget : null;
  };
  const kernel = () => lab.panel()?.sessionContext?.session?.kernel;
  lab.status = () => kernel()?.status;
  lab.listen = () =>
    kernel().iopubMessage.connect((_, message) => {
      if (message.header.msg_type === "error") lab.errors.push(message.content.traceback.join("\n"));
    });
  lab.run = () => {
    lab.done = null;
    window.jupyterapp.commands.execute("notebook:run-all-cells").then(
      () => (lab.done = "ok"),
      (error) => (lab.done = `failed: ${error}`),
    );
  };
  lab.cells = () => {
    const cells = lab.panel().content.model.cells;
    return Array.from({ length: cells.length }, (_, i) => cells.get(i))
      .filter((cell) => cell.type === "code")
      .map((cell) => ({
        source: cell.sharedModel.getSource(),
        count: cell.executionCount,
        errors: cell.sharedModel.getOutputs().filter((o) => o.output_type === "error").map((o) => o.traceback.join("\n")),
        texts: cell.sharedModel.getOutputs().map((o) => [o.data?.["text/plain"] ?? ""].flat().join("")),
      }));
  };
  const pictureOf = (element) => element.closest(".jp-OutputArea-output").querySelector("img.widget-image");
  lab.picture = (element) => pictureOf(element)?.src ?? null;
  // The picture's bytes: an address of the same blob says nothing about what is shown.
  lab.bytes = async (element) => {
    const bytes = await (await fetch(pictureOf(element).src)).arrayBuffer();
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    return Array.from(new Uint8Array(digest), (byte) => byte.toString(16)).join("");
  };
  // Time from the next key to the next picture that has been decoded, in milliseconds; null if none comes.
  lab.watch = (element, patience) => {
    lab.latency = undefined;
    const before = lab.picture(element);
    let pressed = null;
    const key = () => (pressed ??= performance.now());
    document.addEventListener("keydown", key, { capture: true, once: true });
    const look = () => {
      const image = pictureOf(element);
      if (pressed !== null && image && image.src !== before && image.complete) lab.latency = performance.now() - pressed;
      else if (pressed !== null && performance.now() - pressed > patience) lab.latency = null;
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  };
})();
