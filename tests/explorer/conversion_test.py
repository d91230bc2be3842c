"""What the converter says of a model that it can't convert reaches the user."""

import numpy as np
import pytest

from tfae.errors import InputError
from tfae.explorer import conversion


def test_the_converters_line_is_the_error(tmp_path):
  with pytest.raises(InputError) as error:
    conversion.convert(tmp_path, np.zeros((2, 8, 8, 1), np.float32))
  said = str(error.value)
  assert said.startswith(f"saved_model={str(tmp_path)!r}: can't be converted to ONNX, which the")
  # Without the extra that is what is said; with it, that there is no model.
  assert "pip install 'tfae[onnx]'" in said or "signature.json" in said or "saved_model.pb" in said
  assert "\n" not in said
