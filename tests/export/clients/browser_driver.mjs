// Drives the page in Chromium: node browser_driver.mjs URL CHROMIUM STEP... ; prints JSON.
//
// A STEP is file=PATH, draw, sample, wait, shot=PATH or size=WIDTHxHEIGHT[,dark]. The answer is {blocked:
// [addresses that are not this machine's], steps: [{status, error, score, invert, code, sampled, answer}]}.
import {draw, look, open} from "./chromium.mjs";

const [url, executablePath, ...steps] = process.argv.slice(2);
const {browser, page, blocked} = await open(executablePath, url);
const said = [];
await settled();
for (const step of steps) {
  const [what, value] = step.split("=");
  if (!await look(page, what, value)) {
    if (what === "file") {
      await page.evaluate(() => {
        document.getElementById("status").textContent = "";
        document.getElementById("error").hidden = true;
      });
      await page.locator("#file").setInputFiles(value);
    }
    if (what === "sample") await page.locator("#draw-sample").click();
    if (what === "draw") await draw(page, "#canvas");
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
