"""Pure functions from arrays to pictures: a matplotlib Figure, an image array, or SVG text.

None knows runs, models or TensorFlow, reads or writes a file, or touches matplotlib's global state
(no pyplot). Images come in as floats `[n, height, width, 1 or 3]` in [0, 1]; what lies outside, as
a linear reconstruction may, is clipped where it is shown. Bad input is one `InputError`.

`style` has colours, sizes and the ways out (`png`, `svg`); `montage` needs NumPy and Pillow only;
`cells` lays images out; the others are the views: `grids`, `codes`, `latent`, `curves`, `weights`,
`scores`, `diagram`.
"""
