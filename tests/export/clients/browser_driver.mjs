// Drives the page in Chromium: node browser_driver.mjs URL CHROMIUM STEP... ; prints JSON.
//
// A STEP is file=PATH, draw, sample, wait, shot=PATH or size=WIDTHxHEIGHT[,dark]. The answer is {blocked:
// [addresses that are not this machine's], steps: [{status, error, score, invert, code, sampled, answer}]}.
import {chromium} from "playwright-core";

const [url, executablePath, ...steps] = process.argv.slice(2);
const browser = await chromium.launch({executablePath, args: ["--no-sandbox"]});
const page = await browser.newPage();
const blocked = [], said = [];
await page.route("**/*", route => {
  if (new URL(route.request().url()).hostname === "127.0.0.1") return route.continue();
  blocked.push(route.request().url());
  return route.abort();
});
await page.goto(url);
await settled();
for (const step of steps) {
  const [what, value] = step.split("=");
  if (what === "size") {
    const [size, scheme] = value.split(",");
    const [width, height] = size.split("x").map(Number);
    await page.setViewportSize({width, height});
    await page.emulateMedia({colorScheme: scheme ?? "light"});
  } else if (what === "shot") await page.screenshot({path: value, fullPage: true});
  else {
    if (what === "file") {
      await page.evaluate(() => {
        document.getElementById("status").textContent = "";
        document.getElementById("error").hidden = true;
      });
      await page.locator("#file").setInputFiles(value);
    }
    if (what === "sample") await page.locator("#draw-sample").click();
    if (what === "draw") {
      const box = await page.locator("#canvas").boundingBox();
      const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
      await page.mouse.move(...at(.3, .25));
      await page.mouse.down();
      for (const [x, y] of [[.7, .25], [.4, .8]]) await page.mouse.move(...at(x, y), {steps: 4});
      await page.mouse.up();
    }
    await settled();
    said.push(await page.evaluate(() => ({
      status: document.getElementById("status").textContent,
      error: document.getElementById("error").hidden ? "" : document.getElementById("error").textContent,
      score: document.getElementById("score-value").textContent,
      invert: document.getElementById("invert").checked,
      code: [...document.querySelectorAll("#code-bars li span:last-child")].map(e => e.textContent),
      sampled: document.getElementById("sampled").toDataURL(),
      answer: window.answer ?? null})));
  }
}
console.log(JSON.stringify({blocked, steps: said}));
await browser.close();

// Loaded, answered or failed.
async function settled() {
  await page.waitForFunction(() => {
    const status = document.getElementById("status").textContent;
    return /^(Ready|Done)/.test(status) || !document.getElementById("error").hidden;
  });
}
