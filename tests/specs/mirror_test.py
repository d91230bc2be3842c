"""The mirrored decoder: shapes back to the input for any stack, activations in their places."""

import math

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow as tf

from tfae import errors, network
from tfae.specs import layers, mirror
from tfae.specs.layers import (Activation, BatchNorm, Branch, Conv2D, Conv2DTranspose, Dense,
                               Dropout, Flatten, LayerNorm, MaxPool, Normal, Reshape, Upsample)


def decoder_of(encoder, input_shape, **options):
  return [pair.layer for pair in mirror.mirror(encoder, input_shape, **options)]


def parameters(*stacks):
  return sum(math.prod(v.shape) for stack in stacks for v in stack.own_variables)


@st.composite
def layer_for(draw, shape):
  """A layer that takes `shape`."""
  pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
  name = draw(st.sampled_from(["Activation", "Dropout", "Flatten", "Reshape", "BatchNorm"] +
                              (["Dense"] * 2 if len(shape) == 1 else []) +
                              (["Conv2D", "Conv2DTranspose", "MaxPool", "Upsample"] * 3
                               if len(shape) == 3 else [])))
  affine = {"activation": draw(st.sampled_from(["linear", "relu", "tanh"])),
            "use_bias": draw(st.booleans())}
  same = "same" if len(shape) == 3 and draw(st.booleans()) else "valid"
  if len(shape) == 3:
    fitting = st.tuples(*(st.integers(1, n if same == "valid" and n < 4 else 4) for n in shape[:2]))
  match name:
    case "Activation":
      return Activation(draw(st.sampled_from(["relu", "softmax", "linear"])))
    case "Dropout":
      return Dropout(0.25)
    case "BatchNorm":
      return BatchNorm() if shape[-1] == 1 else draw(st.sampled_from([BatchNorm(), LayerNorm()]))
    case "Flatten":
      return Flatten()
    case "Reshape":
      n = math.prod(shape)
      height = draw(st.sampled_from([d for d in range(1, 8) if n % d == 0]))
      channels = draw(st.sampled_from([d for d in range(1, 4) if n // height % d == 0]))
      return Reshape((height, n // height // channels, channels))
    case "Dense":
      return Dense(draw(st.integers(1, 6)), **affine)
    case "Conv2D":
      return Conv2D(draw(st.integers(1, 3)), draw(fitting), draw(pair), same, **affine)
    case "Conv2DTranspose":
      plain = Conv2DTranspose(draw(st.integers(1, 3)), draw(pair), draw(pair), same, **affine)
      height, width, _ = plain.output_shape(shape)
      # 'same' takes up to stride - 1 pixels less to the same size, 'valid' as many more.
      less, more = (0, 0), tuple(s - 1 for s in plain.stride)
      if same == "same":
        less, more = more, less
      size = (draw(st.integers(max(1, height - less[0]), height + more[0])),
              draw(st.integers(max(1, width - less[1]), width + more[1])))
      return Conv2DTranspose(plain.filters, plain.kernel_size, plain.stride, same, size, **affine)
    case "MaxPool":
      return MaxPool(draw(fitting), draw(st.none() | pair), same)
    case "Upsample":
      factor = draw(pair)
      cut = [draw(st.integers(0, f - 1)) for f in factor]
      return Upsample(factor, tuple(n * f - c for n, f, c in zip(shape, factor, cut)))


@st.composite
def stacks(draw):
  """(input shape, 1 to 5 layers that fit, with no shape of more than 2,000 values)."""
  shape = input_shape = draw(st.one_of(
      st.tuples(st.integers(1, 13), st.integers(1, 13), st.integers(1, 3)),
      st.tuples(st.integers(1, 30))))
  stack = []
  for _ in range(draw(st.integers(1, 5))):
    layer = draw(layer_for(shape))
    after = layer.output_shape(shape)
    if math.prod(after) <= 2000:
      stack.append(layer)
      shape = after
  hypothesis.assume(any(not isinstance(layer, (Activation, Dropout, BatchNorm, LayerNorm))
                        for layer in stack))
  return input_shape, stack


@hypothesis.settings(max_examples=300)
@hypothesis.given(stacks())
def test_the_mirror_of_any_stack_comes_back_to_the_input_shape(case):
  input_shape, encoder = case
  code = layers.shapes(encoder, input_shape, "encoder")[-1]
  assert layers.shapes(decoder_of(encoder, input_shape), code, "decoder")[-1] == input_shape


@hypothesis.settings(max_examples=40)
@hypothesis.given(stacks(), st.booleans())
def test_the_mirror_of_any_stack_runs_and_comes_back_to_the_input_shape(case, tied):
  input_shape, specs = case
  encoder = network.Stack(specs, input_shape)
  decoder = network.mirror(encoder, tied=tied)
  codes = encoder(tf.ones((2, *input_shape)))
  assert tuple(codes.shape) == (2, *encoder.output_shape)
  assert tuple(decoder(codes).shape) == (2, *input_shape)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [2, 3, (3, 2)])
@pytest.mark.parametrize("kind", ["conv", "transpose", "pool"])
def test_27_by_31_pixels_come_back_exactly(kind, stride, padding):
  layer = {"conv": lambda n: Conv2D(n, 3, stride, padding),
           "transpose": lambda n: Conv2DTranspose(n, 3, stride, padding),
           "pool": lambda n: MaxPool(3, stride, padding)}[kind]
  encoder = network.Stack([layer(2), layer(3)], (27, 31, 1))
  decoder = network.mirror(encoder)
  assert decoder.output_shape == (27, 31, 1)
  assert decoder(encoder(tf.ones((2, 27, 31, 1)))).shape == (2, 27, 31, 1)


def test_every_layer_is_undone_by_its_inverse_and_knows_its_source():
  encoder = [Conv2D(4, 3, 2), Conv2DTranspose(2, 2, 3, "valid"), MaxPool(3, 2, "valid"),
             Upsample(2), Dropout(0.5), Reshape((144, 2, 1)), Flatten(), Dense(5)]
  assert layers.shapes(encoder, (9, 9, 1), "encoder")[1:5] == [
      (5, 5, 4), (14, 14, 2), (6, 6, 2), (12, 12, 2)]
  assert mirror.mirror(encoder, (9, 9, 1)) == [
      mirror.Mirrored(layer, source) for layer, source in [
          (Dense(288), 7), (Reshape((144, 2, 1)), 6), (Reshape((12, 12, 2)), 5),
          (MaxPool(2, 2, "valid"), 3), (Upsample(2, (14, 14)), 2), (Conv2D(4, 2, 3, "valid"), 1),
          (Conv2DTranspose(1, 3, 2, output_size=(9, 9)), 0)]]


@pytest.mark.parametrize("factor", [(1, 2), (2, 3), (3, 4), (4, 5), (5, 6)])
def test_the_mirror_of_an_upsample_gives_back_every_pixel_however_short_it_is_cut(factor):
  pixels = np.random.default_rng(0).normal(size=(1, 3, 2, 1)).astype(np.float32)
  for cut in np.ndindex(factor):
    size = tuple(n * f - c for n, f, c in zip((3, 2), factor, cut))
    encoder = network.Stack([Upsample(factor, size)], (3, 2, 1))
    np.testing.assert_array_equal(network.mirror(encoder)(encoder(pixels)), pixels, str(cut))


def test_an_upsample_that_repeats_its_last_pixels_cannot_be_undone():
  with pytest.raises(errors.InputError, match="repeats its last pixels. Write the decoder out"):
    mirror.mirror([Upsample(2, (7, 6))], (3, 3, 1))


@pytest.mark.parametrize("encoder, decoder", [
    ([Dense(5, activation="relu"), Dense(3, activation="tanh")],
     [Dense(5, activation="relu"), Dense(7, activation="sigmoid")]),
    ([Dense(5), Activation("relu"), Dense(3), Activation("tanh")],
     [Dense(5, activation="relu"), Dense(7, activation="sigmoid")]),
    ([Dense(5, activation="relu"), Activation("tanh"), Activation("elu"), Dense(3)],
     [Dense(5, activation="relu"), Activation("tanh"), Activation("elu"),
      Dense(7, activation="sigmoid")]),
    ([Dense(5), Dense(3)], [Dense(5), Dense(7, activation="sigmoid")]),
    ([Dense(3, activation="softmax")], [Dense(7, activation="sigmoid")]),
    # Before the first affine layer there is none to stand between.
    ([Activation("tanh"), Dense(3)], [Dense(7, activation="sigmoid")]),
    ([BatchNorm(), Dense(5), BatchNorm(), Activation("relu"), LayerNorm(), Dense(3), LayerNorm()],
     [Dense(5, activation="relu"), Dense(7, activation="sigmoid")]),
    ([Dropout(0.5), Dense(5, activation="relu"), Dropout(0.5), Dense(3)],
     [Dense(5, activation="relu"), Dense(7, activation="sigmoid")]),
])
def test_activations_stand_between_the_inverses_of_what_they_stood_between(encoder, decoder):
  assert decoder_of(encoder, (7,), output_activation="sigmoid") == decoder


def test_an_activation_stays_with_its_affine_layers_across_pools_and_reshapes():
  encoder = [Conv2D(2, 3, activation="relu"), MaxPool(), Flatten(), Dense(3, activation="tanh")]
  assert decoder_of(encoder, (4, 4, 1), output_activation="sigmoid") == [
      Dense(8, activation="relu"), Reshape((2, 2, 2)), Upsample(2, (4, 4)),
      Conv2DTranspose(1, 3, output_size=(4, 4), activation="sigmoid")]


def test_a_leading_activation_does_not_change_a_linear_reconstruction():
  assert decoder_of([Activation("tanh"), Dense(3)], (7,)) == [Dense(7)]


def test_without_an_affine_layer_the_output_activation_comes_last():
  assert decoder_of([MaxPool()], (4, 4, 1)) == [Upsample(2, (4, 4))]
  assert decoder_of([MaxPool(), Activation("relu")], (4, 4, 1), output_activation="sigmoid") == [
      Upsample(2, (4, 4)), Activation("sigmoid")]


def test_biases_follow_the_encoder_unless_told():
  encoder = [Dense(5, use_bias=False), Dense(3)]
  assert [layer.use_bias for layer in decoder_of(encoder, (7,))] == [True, False]
  assert [layer.use_bias for layer in decoder_of(encoder, (7,), use_bias=True)] == [True, True]
  assert [layer.use_bias for layer in decoder_of(encoder, (7,), use_bias=False)] == [False, False]


def test_initializers_are_those_of_the_layers_undone():
  encoder = [Dense(5, kernel_initializer=Normal(0.1)), Dense(3, kernel_initializer="he_normal")]
  assert [layer.kernel_initializer for layer in decoder_of(encoder, (7,))] == [
      "he_normal", Normal(0.1)]


@pytest.mark.parametrize("call, message", [
    (lambda: mirror.mirror([Dense(3)], (7,), output_activation="sigmod"),
     "mirror: output_activation='sigmod'.*Did you mean 'sigmoid'"),
    (lambda: mirror.mirror([Dense(3)], (7,), use_bias=1), "mirror: use_bias=1"),
    (lambda: mirror.mirror([Activation("relu")], (7,)), "no layer to undo"),
    (lambda: mirror.mirror([Dropout(0.5)], (7,)), "no layer to undo"),
    (lambda: mirror.mirror([BatchNorm()], (7,)), "no layer to undo"),
    (lambda: mirror.mirror([Dense(3), Branch(((Dense(3),), ()))], (7,)),
     "mirror: can't undo a Branch.*Write the decoder out"),
    (lambda: mirror.mirror([Dense(3), Conv2D(2, 2)], (7,)), r"encoder\[1\]: Conv2D"),
])
def test_bad_arguments_are_refused(call, message):
  with pytest.raises(errors.InputError, match=message):
    call()


def test_s04_has_573440_parameters():
  # 784 * 512 + 512 * 256 + 256 * 128 + 128 * 64, each kernel once.
  encoder = network.Stack([Flatten(), *(Dense(n, use_bias=False) for n in (512, 256, 128, 64))],
                          (28, 28, 1))
  assert parameters(encoder, network.mirror(encoder)) == 573_440
  assert parameters(encoder, network.mirror(encoder, tied=False)) == 2 * 573_440
  # Decoder biases: 128 + 256 + 512 + 784.
  assert parameters(encoder, network.mirror(encoder, use_bias=True)) == 573_440 + 1_680


def test_s05_has_8448_parameters():
  # 4 * 4 * (1 * 16 + 16 * 16 + 16 * 16), each kernel once.
  encoder = network.Stack([Conv2D(16, 4, 2, use_bias=False) for _ in range(3)], (28, 28, 1))
  decoder = network.mirror(encoder)
  assert encoder.output_shape == (4, 4, 16) and decoder.output_shape == (28, 28, 1)
  assert parameters(encoder, decoder) == 8_448
  # Decoder biases: 16 + 16 + 1.
  assert parameters(encoder, network.mirror(encoder, use_bias=True)) == 8_448 + 33
