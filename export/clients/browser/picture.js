// From a picture file, or what was drawn, to an image of the model's size.
import {border, cut, fromImageData, resized} from "./pixels.js";

const DARK = .25, BRIGHT = .75;  // of a border: between them it says nothing about polarity
const MOST_PIXELS = 50e6;  // a page has no memory for many more

// The ImageData of a picture file; `metadata` is that of signature.json. Throws an Error in plain words.
export async function read(file, metadata) {
  let bitmap;
  try {
    // Of a model's own kind of files the rotation was not looked at in training either.
    const own = trainedOnFiles(metadata);
    bitmap = await createImageBitmap(
        file, {colorSpaceConversion: "none", imageOrientation: own ? "none" : "from-image"});
  } catch {
    throw new Error(`${file.name} is not an image that this browser can read. Choose a PNG or ` +
                    "JPEG file.");
  }
  if (bitmap.width * bitmap.height > MOST_PIXELS) {
    throw new Error(`${file.name} has ${bitmap.width} × ${bitmap.height} pixels; here a picture may ` +
                    `have ${MOST_PIXELS / 1e6} million. Choose a smaller one.`);
  }
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";  // behind transparent pixels
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

// An ImageData as an image of shape [height, width, channels], pixels in [0, 1].
export function bring(pixels, [height, width, channels], metadata) {
  const to = trainedOnFiles(metadata) ? cut : resized;
  return to(fromImageData(pixels, channels), height, width);
}

// Whether an image is black on white where those of the training were white on black, or the other way.
export function isInverted(image, metadata) {
  const wanted = metadata.border, found = border(image);
  return wanted != null && Math.min(wanted, found) < DARK && Math.max(wanted, found) > BRIGHT;
}

function trainedOnFiles(metadata) { return ["images", "tfrecord"].includes(metadata.dataset); }
