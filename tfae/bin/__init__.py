"""The programs. Ctrl-C is looked after from here on: this is the first of them to be imported."""

from tfae.bin import interrupt

interrupt.hold()
