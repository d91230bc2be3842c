"""What a SavedModel is converted to, one target a file: each has a function

    convert(reference, folder) -> {signature: entry}

that writes into `folder` and returns, for each signature, {"file": its file, "inputs": {name:
tensor name}, "outputs": {name: tensor name}}, and "batch" where that is fixed. A signature that is
left out is a string that says why. A converter's own errors pass through.
"""
