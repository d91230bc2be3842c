// The straight way from the code A to the code B: a slider and a player.
const SECONDS = 4, STILL_STEPS = 8, STILL_MS = 700;

// go(code) puts the point there; drawn(name, code) shows A or B. Returns {ends, set(name, code), stop}.
export function interpolation($, ends, go, drawn) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let playing = null;
  function at(share) {
    const {a, b} = ends;
    go(a.map((value, i) => share === 1 ? b[i] : value + share * (b[i] - value)));
  }
  function show(percent) {
    $("between").value = percent;
    $("share").textContent = `${Math.floor(percent)} %`;
    $("between").setAttribute("aria-valuetext", `${Math.floor(percent)} % of B`);
  }
  function move(percent) { show(percent); at(percent / 100); }
  function stop() {
    if (playing) playing();
    playing = null;
    $("play").textContent = "Play";
    $("play").setAttribute("aria-pressed", "false");
  }
  function play() {
    $("play").textContent = "Pause";
    $("play").setAttribute("aria-pressed", "true");
    let percent = Number($("between").value) % 100, last = null;
    if (still.matches) {
      const timer = setInterval(() => {
        percent = Math.min(100, percent + 100 / STILL_STEPS);
        move(percent);
        if (percent === 100) stop();
      }, STILL_MS);
      playing = () => clearInterval(timer);
      return;
    }
    let frame = requestAnimationFrame(function step(now) {
      percent = Math.min(100, percent + (last === null ? 0 : (now - last) / 10 / SECONDS));
      last = now;
      move(percent);
      if (percent === 100) stop(); else frame = requestAnimationFrame(step);
    });
    playing = () => cancelAnimationFrame(frame);
  }
  $("between").addEventListener("input", () => { stop(); move(Number($("between").value)); });
  $("play").onclick = () => playing ? stop() : play();
  show(0);
  return {
    stop,
    set(name, code) {
      stop();
      ends[name] = code.slice();
      drawn(name, code);
      show(name === "a" ? 0 : 100);
    },
  };
}
