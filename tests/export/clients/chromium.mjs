// A page in Chromium that reaches nothing but this machine.
import {chromium} from "playwright-core";

// Returns {browser, page, blocked, asked}: addresses that were refused, and those that were asked for.
export async function open(executablePath, url) {
  const browser = await chromium.launch({executablePath, args: ["--no-sandbox"]});
  const page = await browser.newPage({hasTouch: true});
  const blocked = [], asked = [];
  page.on("request", request => { if (!request.url().startsWith("data:")) asked.push(request.url()); });
  await page.route("**/*", route => {
    const {hostname, protocol} = new URL(route.request().url());
    if (hostname === "127.0.0.1" || protocol === "file:") return route.continue();
    blocked.push(route.request().url());
    return route.abort();
  });
  await page.goto(url);
  return {browser, page, blocked, asked};
}

// Does what a step says that is of no page's own: shot=PATH, size=WIDTHxHEIGHT[,dark]. Returns whether it was one.
export async function look(page, what, value) {
  if (what === "size") {
    const [size, scheme] = value.split(",");
    const [width, height] = size.split("x").map(Number);
    await page.setViewportSize({width, height});
    await page.emulateMedia({colorScheme: scheme ?? "light"});
  } else if (what === "shot") await page.screenshot({path: value, fullPage: true});
  else return false;
  return true;
}

// Draws a seven on a canvas, with the mouse.
export async function draw(page, selector) {
  const box = await page.locator(selector).boundingBox();
  const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(.3, .25));
  await page.mouse.down();
  for (const [x, y] of [[.7, .25], [.4, .8]]) await page.mouse.move(...at(x, y), {steps: 4});
  await page.mouse.up();
}
