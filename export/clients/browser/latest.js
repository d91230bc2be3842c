// One run at a time, of what was asked for last: strokes and pointers are faster than a model.
export function latest(run) {
  let busy = false, waiting = null;
  return async (...asked) => {
    waiting = asked;
    if (busy) return;
    busy = true;
    try {
      while (waiting) {
        const next = waiting;
        waiting = null;
        await run(...next);
      }
    } finally { busy = false; }
  };
}
