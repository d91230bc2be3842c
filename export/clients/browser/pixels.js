// Pixels in [0, 1] to what the model takes, and back. Mirrors what tfae-predict --resize does.

// For a model that was trained on image files: cut to its proportions around the centre, each pixel
// the mean of the area that it covers, to the nearest byte.
export function cut(image, height, width) {
  const {channels} = image, half = (a, b) => Math.floor((2 * a + b) / (2 * b));
  const rows = Math.min(image.height, Math.max(1, half(image.width * height, width)));
  const columns = Math.min(image.width, Math.max(1, half(image.height * width, height)));
  const top = (image.height - rows) >> 1, left = (image.width - columns) >> 1;
  const vertical = shares(rows, height), horizontal = shares(columns, width);
  const data = new Float64Array(height * width * channels);
  vertical.forEach((ys, y) => horizontal.forEach((xs, x) => {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (const [v, high] of ys) {
        for (const [u, wide] of xs) {
          sum += high * wide * image.data[((top + v) * image.width + left + u) * channels + c];
        }
      }
      data[(y * width + x) * channels + c] = Math.floor(255 * sum + .5) / 255;
    }
  }));
  return {data, height, width, channels};
}

// For each of `to` pixels which of `from` it covers: [[index, share of it all], ...].
function shares(from, to) {
  return Array.from({length: to}, (_, i) => {
    const start = i * from / to, end = (i + 1) * from / to, found = [];
    for (let at = Math.floor(start); at < Math.min(from, Math.ceil(end)); at++) {
      found.push([at, (Math.min(end, at + 1) - Math.max(start, at)) * to / from]);
    }
    return found;
  });
}

// The median of the outermost pixels: near 0 for white on black, near 1 for black on white.
export function border({data, height, width, channels}) {
  const edge = [];
  const add = (y, x) => {
    for (let c = 0; c < channels; c++) edge.push(data[(y * width + x) * channels + c]);
  };
  for (let x = 0; x < width; x++) { add(0, x); add(height - 1, x); }
  for (let y = 0; y < height; y++) { add(y, 0); add(y, width - 1); }
  edge.sort((a, b) => a - b);
  const middle = edge.length >> 1;
  return edge.length % 2 ? edge[middle] : (edge[middle - 1] + edge[middle]) / 2;
}

// An ImageData of opaque pixels as an image of 1 (ITU-R BT.601 luma) or 3 channels.
export function fromImageData({data, height, width}, channels) {
  const image = {data: new Float64Array(height * width * channels), height, width, channels};
  for (let i = 0; i < height * width; i++) {
    const [r, g, b] = [data[4 * i] / 255, data[4 * i + 1] / 255, data[4 * i + 2] / 255];
    if (channels === 3) image.data.set([r, g, b], 3 * i);
    else image.data[i] = r === g && g === b ? r : .299 * r + .587 * g + .114 * b;
  }
  return image;
}

// Keeps the aspect ratio, averages over areas, pads with the median of the border.
export function resized(image, height, width) {
  if (image.height === height && image.width === width) return image;
  const scale = Math.min(height / image.height, width / image.width);
  const rows = windows(image.height, Math.max(1, Math.round(image.height * scale)));
  const columns = windows(image.width, Math.max(1, Math.round(image.width * scale)));
  const {channels} = image;
  const data = new Float64Array(height * width * channels).fill(border(image));
  const top = (height - rows.length) >> 1, left = (width - columns.length) >> 1;
  rows.forEach(([y0, y1], y) => columns.forEach(([x0, x1], x) => {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let v = y0; v < y1; v++) for (let u = x0; u < x1; u++) sum += image.data[(v * image.width + u) * channels + c];
      data[((top + y) * width + left + x) * channels + c] = sum / ((y1 - y0) * (x1 - x0));
    }
  }));
  return {data, height, width, channels};
}

function windows(from, to) {
  const ratio = from / to, support = Math.max(1, ratio) / 2;
  return Array.from({length: to}, (_, i) => {
    const start = Math.max(0, Math.floor((i + .5) * ratio - support + .5));
    return [start, Math.max(start + 1, Math.min(from, Math.floor((i + .5) * ratio + support + .5)))];
  });
}

// Paints values from low to high; what lies outside is clipped.
export function paint(canvas, values, [height, width, channels], [low, high]) {
  canvas.height = height;
  canvas.width = width;
  const image = new ImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < 3; c++) {
      image.data[4 * i + c] = 255 * (values[i * channels + (channels === 3 ? c : 0)] - low) / (high - low);
    }
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
