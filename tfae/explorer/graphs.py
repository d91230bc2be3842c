"""ONNX graphs for the page: the same bytes in every process, and one file of weights for all."""

WEIGHTS = "weights"  # the name that the graphs have for their common file
_SMALL = 1024  # bytes up to which a constant stays in its graph


def share(models):
  """Returns ({key: a model without its large constants}, those in one file) of ONNX models.

  A constant that several graphs have is stored once, and so is a matrix that is another one
  transposed, as in the two halves of a tied autoencoder.

  Args:
    models: {key: bytes of an .onnx file}.
  """
  import onnx
  from onnx import numpy_helper
  weights, places, graphs = bytearray(), {}, {}
  for key, content in models.items():
    model = onnx.load_from_string(content)
    steady(model.graph)
    for tensor in model.graph.initializer:
      value = numpy_helper.to_array(tensor)
      if value.nbytes <= _SMALL:
        continue
      place = _identity(value)
      name = tensor.name
      if place not in places and value.ndim == 2 and _identity(value.T) in places:
        value, name = value.T, f"{tensor.name}/transposed"
        place = _identity(value)
        model.graph.node.insert(0, onnx.helper.make_node("Transpose", [name], [tensor.name]))
      if place not in places:
        places[place] = len(weights)
        weights += value.tobytes()
      tensor.CopyFrom(onnx.TensorProto(
          name=name, dims=value.shape, data_type=tensor.data_type,
          data_location=onnx.TensorProto.EXTERNAL))
      for field, entry in (("location", WEIGHTS), ("offset", places[place]),
                           ("length", value.nbytes)):
        tensor.external_data.add(key=field, value=str(entry))
    graphs[key] = model.SerializeToString(deterministic=True)
  return graphs, bytes(weights)


def steady(graph):
  """Orders and names the nodes, constants and values of a GraphProto by what they compute.

  tf2onnx goes through sets of objects, so both are others in every process. Inputs and outputs keep
  their names; nodes that no output needs are left out.
  """
  nodes = [_copy(node) for node in graph.node]
  maker = {name: index for index, node in enumerate(nodes) for name in node.output}
  order, stack = {}, [value.name for value in reversed(graph.output)]
  while stack:  # in depth first, so that a node follows what it needs
    index = maker.get(stack[-1])
    before = [] if index is None or index in order else [
        name for name in _needed(nodes[index]) if name in maker and maker[name] not in order]
    if before:
      stack += reversed(before)
      continue
    stack.pop()
    if index is not None:
      order.setdefault(index)
  names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}
  for index in order:
    _rename(nodes[index], lambda name: names.setdefault(name, f"v{len(names)}"))
  constants = {names[tensor.name]: _copy(tensor) for tensor in graph.initializer
               if tensor.name in names}
  for name, tensor in constants.items():
    tensor.name = name
  del graph.node[:], graph.initializer[:], graph.value_info[:]
  graph.node.extend(nodes[index] for index in order)
  graph.initializer.extend(constants[name] for name in names.values() if name in constants)


def _identity(array):
  return array.dtype.str, array.shape, array.tobytes()


def _copy(message):
  return type(message).FromString(message.SerializeToString())


def _needed(node):
  """The names that a node reads, those of the graphs inside it too."""
  return [*node.input, *(name for attribute in node.attribute for child in attribute.g.node
                         for name in _needed(child))]


def _rename(node, named):
  node.name = ""
  for names in (node.input, node.output):
    names[:] = map(named, names)
  for attribute in node.attribute:
    for child in attribute.g.node:
      _rename(child, named)
    for value in (*attribute.g.input, *attribute.g.initializer, *attribute.g.output):
      value.name = named(value.name)
