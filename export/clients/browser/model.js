// The model: signature.json and one ONNX session a signature, by onnxruntime-web.
import * as ort from "onnxruntime-web";

ort.env.wasm.numThreads = 1;  // threads need headers that a plain file server does not send

// Returns {description, call} of the model in a folder beside the page. Throws an Error in plain words.
export async function load(folder, keys) {
  ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
  const description = await readDescription(folder);
  return open(description, keys, async file => {
    const response = await get(folder + file);
    if (!response.ok) {
      throw new Error(`The model folder lacks ${file}, which its signature.json names. ` +
                      "Convert the model again.");
    }
    return new Uint8Array(await response.arrayBuffer());
  });
}

// Returns {description, call} for those of the signatures `keys` that there are; `read(file)` gives an .onnx file's bytes, `options` are those
// of a session. call(key, values, count) maps `count` examples (a Float32Array) of the signature's only input to {output: {data, shape,
// meaning}}, data of all examples, shape of one. Throws an Error in plain words.
export async function open(description, keys, read, options = {}) {
  const sessions = {};
  for (const key of keys.filter(name => name in description.signatures)) {
    const {file} = description.signatures[key];
    const bytes = await read(file);
    try {
      sessions[key] = await ort.InferenceSession.create(bytes, options);
    } catch (error) {
      throw new Error(`${file} could not be loaded: either it is damaged, or this browser ` +
                      `can't run WebAssembly (${String(error.message).slice(0, 150)}).`);
    }
  }
  async function call(key, values, count = 1) {
    const {inputs, outputs} = description.signatures[key];
    const [entry] = Object.values(inputs);
    const answer = await sessions[key].run(
        {[entry.tensor]: new ort.Tensor("float32", values, [count, ...entry.shape.slice(1)])});
    return Object.fromEntries(Object.entries(outputs).map(([name, output]) => {
      const {data, dims} = answer[output.tensor];
      return [name, {data: Array.from(data, Number), shape: dims.slice(1),
                     meaning: output.meaning}];
    }));
  }
  return {description, call};
}

async function get(url) {
  try {
    return await fetch(url);
  } catch {
    throw new Error(`${url} can't be reached: is the file server still running?`);
  }
}

async function readDescription(folder) {
  const response = await get(folder + "signature.json");
  if (!response.ok) {
    throw new Error("There is no model/signature.json beside this page. Start it with make " +
                    "MODEL=FOLDER serve, where FOLDER is what convert_saved_model.py --to=onnx wrote.");
  }
  let found;
  try { found = await response.json(); } catch { found = {}; }
  if (found.format !== "onnx" || !found.signatures) {
    throw new Error("model/signature.json does not describe ONNX files: convert the SavedModel " +
                    "with --to=onnx.");
  }
  return found;
}
