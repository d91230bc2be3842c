"""What a config can say, in pure Python: layers, their mirror image, optimizers, losses."""
