// What the page carries with it: base64 of gzip, in script elements that no browser runs.
export async function part(name) {
  const {textContent} = document.getElementById(`part-${name}`);
  const packed = await fetch(`data:application/octet-stream;base64,${textContent}`);
  const whole = packed.body.pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(whole).arrayBuffer());
}

// The examples: {count, size, codes: Float32Array [count * size], pixels(i): values in the data set's units, label(i): name of its class or ""}.
export async function examples(facts, shape, high) {
  const codes = new Float32Array((await part("codes")).buffer), bytes = await part("images");
  const size = facts.codes.names.length, length = shape.reduce((a, b) => a * b, 1);
  const names = new Map((facts.classes ?? []).map(([label, name]) => [label, name]));
  return {
    size, codes, count: codes.length / size,
    code: i => codes.slice(i * size, (i + 1) * size),
    pixels: i => Float32Array.from(bytes.subarray(i * length, (i + 1) * length), v => v * high / facts.white),
    label: i => facts.labels ? names.get(facts.labels[i]) : "",
  };
}

// The `most` examples that lie nearest to a code, [[example, Euclidean distance], ...]; of two that lie as near the first one comes first.
export function nearest({codes, count, size}, code, most) {
  const squared = new Float64Array(count);
  for (let i = 0, at = 0; i < count; i++) {
    for (let j = 0; j < size; j++, at++) squared[i] += (codes[at] - code[j]) ** 2;
  }
  return Array.from(squared.keys()).sort((a, b) => squared[a] - squared[b]).slice(0, most)
      .map(i => [i, Math.sqrt(squared[i])]);
}
