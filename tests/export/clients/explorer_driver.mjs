// Drives the latent explorer in Chromium: node explorer_driver.mjs URL CHROMIUM STEP... ; prints JSON.
//
// A STEP is key=NAME, focus=SELECTOR, click=SELECTOR, menu=X,Y (the right button), drag=X,Y,X,Y (from and to, shares of the plane), tap=X,Y, draw, file=PATH, drop=PATH,
// hurry=PATH,PATH (the second file before the first has been read), slide=SELECTOR,VALUE, choose=SELECTOR,VALUE, still (as who asks for less motion), wait=ID,TEXT, run=EXPRESSION, shot=PATH or
// size=WIDTHxHEIGHT[,dark]. The answer is {blocked, asked: addresses, steps: [what the page knew once it had done each]}.
import {readFileSync} from "node:fs";
import {basename} from "node:path";
import {draw, look, open} from "./chromium.mjs";

const [url, executablePath, ...steps] = process.argv.slice(2);
const {browser, page, blocked, asked} = await open(executablePath, url);
const said = [], faults = [];
page.on("pageerror", error => faults.push(error.message));
const settled = () => page.waitForFunction(() => window.explorer && !window.explorer.busy);
await page.setViewportSize({width: 1400, height: 1000});
await settled();
// Where the plane is once it can be seen.
async function plane() {
  await page.locator("#plane").scrollIntoViewIfNeeded();
  return page.locator("#plane").boundingBox();
}
const acts = {
  key: name => page.keyboard.press(name),
  focus: selector => page.locator(selector).focus(),
  click: selector => page.locator(selector).click(),
  async drag(value) {
    const box = await plane(), [a, b, c, d] = value.split(",").map(Number);
    await page.mouse.move(box.x + a * box.width, box.y + b * box.height);
    await page.mouse.down();
    await page.mouse.move(box.x + c * box.width, box.y + d * box.height, {steps: 9});
    await page.mouse.up();
  },
  async tap(value) {
    const box = await plane(), [x, y] = value.split(",").map(Number);
    await page.touchscreen.tap(box.x + x * box.width, box.y + y * box.height);
  },
  async menu(value) {
    const box = await plane(), [x, y] = value.split(",").map(Number);
    await page.mouse.click(box.x + x * box.width, box.y + y * box.height, {button: "right"});
  },
  draw: () => draw(page, "#canvas"),
  file: path => page.locator("#file").setInputFiles(path),
  async hurry(value) {
    for (const path of value.split(",")) await page.locator("#file").setInputFiles(path);
  },
  async drop(path) {
    const transfer = await page.evaluateHandle(([bytes, name]) => {
      const made = new DataTransfer();
      made.items.add(new File([Uint8Array.from(atob(bytes), c => c.charCodeAt(0))], name));
      return made;
    }, [readFileSync(path).toString("base64"), basename(path)]);
    for (const type of ["dragover", "drop"]) await page.dispatchEvent("#image", type, {dataTransfer: transfer});
  },
  slide: value => page.locator(value.split(",")[0]).fill(value.split(",")[1]),
  choose: value => page.locator(value.split(",")[0]).selectOption(value.split(",")[1]),
  still: () => page.emulateMedia({reducedMotion: "reduce"}),
  wait: value => page.waitForFunction(
      ([id, text]) => document.getElementById(id).textContent.includes(text), value.split(",")),
  run: expression => page.evaluate(expression),
};
for (const step of steps) {
  const [, what, value] = /^(\w+)=?(.*)$/.exec(step);
  if (await look(page, what, value)) continue;
  await acts[what](value);
  await settled();
  said.push({...await page.evaluate(() => ({
    ...window.explorer,
    error: document.getElementById("error").hidden ? "" : document.getElementById("error").textContent,
    errorTop: document.getElementById("error").getBoundingClientRect().top,
    where: document.getElementById("where").innerText,
    canInvert: !document.getElementById("invert").disabled,
    sliders: [...document.querySelectorAll(".slider input")].map(range => Number(range.value)),
    live: [...document.querySelectorAll("output, [aria-live], [role=status], [role=alert]")].map(e => e.id),
    spoken: document.getElementById("spoken").textContent,
    shares: window.shares?.length,
    focus: document.activeElement.id}))});
}
console.log(JSON.stringify({blocked, asked, faults, steps: said}));
await browser.close();
