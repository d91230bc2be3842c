"""Freezing functions into one portable graph, and looking inside such a graph.

Knows nothing of models: it takes functions with named inputs and outputs.
"""

import dataclasses
import re
from typing import Any, Callable, Mapping, Optional, Tuple

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from tfae.errors import InputError, nearest

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_DUPLICATE_BYTES = 1024  # smaller constants are not worth sharing: names stay as they were traced


@dataclasses.dataclass(frozen=True)
class Input:
  """A named input: `spec` is a tf.TensorSpec [None, ...], `meaning` one sentence for its caller.

  `value_range` is (lowest, highest) in the input's own units, or None where it is unbounded.
  """
  spec: tf.TensorSpec
  meaning: str
  value_range: Optional[Tuple[float, float]] = None


@dataclasses.dataclass(frozen=True)
class Signature:
  """What is exported under one key: `function(**inputs)` returns {output name: [batch, ...]}.

  `inputs` maps name -> Input; `outputs` maps name -> meaning. Signatures may share inputs.
  """
  function: Callable[..., Mapping[str, tf.Tensor]]
  inputs: Mapping[str, Input]
  outputs: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class TensorInfo:
  """One end of a frozen signature: `name` in the graph, `shape` with None for the batch."""
  name: str
  dtype: tf.DType
  shape: Tuple[Optional[int], ...]
  meaning: str
  value_range: Optional[Tuple[float, float]] = None


@dataclasses.dataclass(frozen=True)
class Frozen:
  """A graph without variables or devices; `inputs`, `outputs`: signature -> name -> TensorInfo."""
  graph_def: Any
  inputs: Mapping[str, Mapping[str, TensorInfo]]
  outputs: Mapping[str, Mapping[str, TensorInfo]]


def freeze(signatures):
  """Freezes {key: Signature} into ONE graph in which every weight is stored once.

  Inputs are placeholders called by their own name (`images:0`), outputs Identity nodes called
  `<signature>/<output>`, weights constants called by their variable's name, all other nodes are
  `<signature>/<name that the function gave>`. Only what the outputs need is kept, so prints and
  assertions that hang on nothing else are dropped. The graph names no device, and equal weights
  give equal bytes in every process, whatever the placement.
  Returns Frozen. Raises InputError if names, inputs or outputs do not fit together.
  """
  specs = _union_of_inputs(signatures)

  def trace(inputs):
    done, outputs = {}, {}
    for key in sorted(signatures):
      signature = signatures[key]
      # One function under two keys (reconstruct, serving_default) is traced once.
      call = (signature.function, tuple(sorted(signature.inputs)))
      if call not in done:
        with tf.name_scope(key):
          done[call] = dict(signature.function(**{n: inputs[n] for n in signature.inputs}))
      outputs[key] = done[call]
      _check_outputs(key, signature, outputs[key])
    return outputs

  traced = tf.function(trace, autograph=False).get_concrete_function(specs)
  # Functional control flow: every runtime reads it, and TensorFlow lowers it by itself.
  frozen = convert_variables_to_constants_v2(traced, lower_control_flow=False)
  graph_def = frozen.graph.as_graph_def()
  ends = [(key, name) for key in sorted(signatures) for name in sorted(signatures[key].outputs)]
  shapes = {end: tensor for end, tensor in zip(ends, traced.outputs, strict=True)}
  sources = {f"{key}/{name}": _source(graph_def, tensor.name)
             for (key, name), tensor in zip(ends, frozen.outputs, strict=True)}

  rename = _name_weights(traced.graph, graph_def)
  rename.update({name: _free(name, graph_def, rename)
                 for name in sources if name in {node.name for node in graph_def.node}})
  rename.update(_share_constants(graph_def, rename))
  rename.update(_reads(graph_def, rename))
  _rename(graph_def, rename)
  for name, source in sources.items():
    node = graph_def.node.add(name=name, op="Identity", input=[_renamed(source, rename)])
    node.attr["T"].type = shapes[tuple(name.split("/"))].dtype.as_datatype_enum
  _make_portable(graph_def, keep=list(sources) + list(specs))

  return Frozen(
      graph_def=graph_def,
      inputs={key: {name: TensorInfo(f"{name}:0", entry.spec.dtype,
                                     tuple(entry.spec.shape.as_list()), entry.meaning,
                                     entry.value_range)
                    for name, entry in sorted(signatures[key].inputs.items())}
              for key in sorted(signatures)},
      outputs={key: {name: TensorInfo(f"{key}/{name}:0", shapes[key, name].dtype,
                                      tuple(shapes[key, name].shape.as_list()), meaning)
                     for name, meaning in sorted(signatures[key].outputs.items())}
               for key in sorted(signatures)})


def list_ops(graph_def):
  """Returns [(name, op, device)] of every node; those of functions as `<function>/<node>`."""
  ops = [(node.name, node.op, node.device) for node in graph_def.node]
  for function in graph_def.library.function:
    ops += [(f"{function.signature.name}/{node.name}", node.op, node.device)
            for node in function.node_def]
  return ops


def fetch(graph_def, tensor_name, feeds):
  """Runs any tensor of a frozen graph: `encoder/layer_0/Relu` or `encoder/layer_0/Relu:0`.

  `feeds` maps input names to arrays. Returns a numpy array. Raises InputError, with the nearest
  names, if the graph has no such tensor.
  """
  names = {node.name for node in graph_def.node}

  def full(name):
    if name.split(":")[0] not in names:
      raise InputError(f"tensor_name={name!r}: the graph has no such tensor; list_ops lists all."
                       + nearest(name, names))
    return name if ":" in name else f"{name}:0"

  try:
    return _run(graph_def, full(tensor_name), {full(name): v for name, v in feeds.items()})
  except KeyError:  # TensorFlow's answer to an output that an op does not have
    raise InputError(f"tensor_name={tensor_name!r}: the op has no such output. Those of an op are "
                     "numbered from 0.") from None


def call(frozen, key, feeds):
  """Returns {output: array} of the signature `key` of a Frozen; `feeds`: {input: array}."""
  return _run(frozen.graph_def, {name: info.name for name, info in frozen.outputs[key].items()},
              {frozen.inputs[key][name].name: value for name, value in feeds.items()})


def inputs_of(graph_def, name):
  """Returns the set of inputs (placeholders) that the node `name` depends on."""
  nodes = {node.name: node for node in graph_def.node}
  return {found for found in _needed(nodes, [name]) if nodes[found].op == "Placeholder"}


def _run(graph_def, names, feeds):
  with tf.Graph().as_default() as graph:
    tf.import_graph_def(graph_def, name="")
    with tf.compat.v1.Session(graph=graph) as session:
      return session.run(tf.nest.map_structure(graph.get_tensor_by_name, names), feeds)


def _union_of_inputs(signatures):
  if not signatures:
    raise InputError("signatures={}: expected at least one Signature.")
  specs = {}
  for key, signature in sorted(signatures.items()):
    for kind, names in (("signature", [key]), ("input", signature.inputs),
                        ("output", signature.outputs)):
      if not names:
        raise InputError(f"signature {key!r} has no {kind}: expected at least one.")
      for name in names:
        if not _NAME.fullmatch(name):
          raise InputError(f"{kind} name {name!r} of signature {key!r}: expected letters, digits "
                           "and underscores, beginning with a letter.")
    for name, entry in sorted(signature.inputs.items()):
      if entry.spec.shape.rank is None or not entry.spec.shape.rank or \
          entry.spec.shape[0] is not None or None in entry.spec.shape.as_list()[1:]:
        raise InputError(f"input {name!r} of signature {key!r} has shape {entry.spec.shape}: "
                         "expected [None, ...], the batch first and all other sizes known.")
      spec = tf.TensorSpec(entry.spec.shape, entry.spec.dtype, name=name)
      if specs.setdefault(name, spec) != spec:
        raise InputError(f"input {name!r} of signature {key!r} is {spec.dtype.name} {spec.shape}, "
                         f"but {specs[name].dtype.name} {specs[name].shape} in another signature: "
                         "inputs of one name are one tensor; rename one of them.")
  return specs


def _check_outputs(key, signature, outputs):
  if sorted(outputs) != sorted(signature.outputs):
    raise InputError(f"signature {key!r} returned outputs {sorted(outputs)}: expected "
                     f"{sorted(signature.outputs)}, as it declares.")
  for name, tensor in sorted(outputs.items()):
    shape = getattr(tensor, "shape", None)
    if not tf.is_tensor(tensor) or not shape.rank or shape[0] is not None:
      raise InputError(f"output {name!r} of signature {key!r} is {shape}: expected a tensor "
                       "[None, ...], the batch first; tf.ensure_shape restores a lost shape.")


def _node(reference):
  """The node's name in an edge: 'a', 'a:1' and '^a' are all edges to 'a'."""
  return reference.lstrip("^").split(":")[0]


def _source(graph_def, tensor_name):
  """The tensor behind the Identity nodes by which tf.function returns it.

  Those nodes wait for every variable read and every call of ALL signatures: going round them
  keeps `decode` from needing `images`.
  """
  nodes = {node.name: node for node in graph_def.node}
  while nodes[_node(tensor_name)].op == "Identity":
    tensor_name = nodes[_node(tensor_name)].input[0]
  return tensor_name


def _free(name, graph_def, rename):
  taken = {node.name for node in graph_def.node} | set(rename.values())
  number = 1
  while f"{name}_{number}" in taken:
    number += 1
  return f"{name}_{number}"


def _name_weights(graph, graph_def):
  """{constant: variable's name} for every captured variable."""
  names = {id(variable.handle): variable.name.split(":")[0] for variable in graph.variables}
  rename = {}
  for handle, placeholder in graph.captures:
    if id(handle) in names:
      name = names[id(handle)]
      taken = {node.name for node in graph_def.node} | set(rename.values())
      rename[_node(placeholder.name)] = _free(name, graph_def, rename) if name in taken else name
  return rename


def _share_constants(graph_def, rename):
  """{constant: its equal} for arrays that the trace wrote into the graph more than once."""
  first, shared = {}, {}
  for node in sorted(graph_def.node, key=lambda node: node.name):
    if node.op == "Const" and node.name not in rename and not node.input \
        and node.attr["value"].ByteSize() >= _DUPLICATE_BYTES:
      value = node.attr["value"].SerializeToString(deterministic=True)
      if first.setdefault(value, node.name) != node.name:
        shared[node.name] = first[value]
  return shared


def _reads(graph_def, rename):
  """{Identity: the constant that it hands on}, for every read of a variable."""
  constants = {node.name for node in graph_def.node if node.op == "Const"}
  return {node.name: rename.get(node.input[0], node.input[0]) for node in graph_def.node
          if node.op == "Identity" and list(node.input) and node.input[0] in constants}


def _renamed(reference, rename):
  node = _node(reference)
  return reference.replace(node, rename.get(node, node), 1)


def _rename(graph_def, rename):
  kept = {}
  # Constants first: what takes the name of one goes.
  for node in sorted(graph_def.node, key=lambda node: node.op != "Const"):
    node.name = rename.get(node.name, node.name)
    node.input[:] = [_renamed(reference, rename) for reference in node.input]
    kept.setdefault(node.name, node)
  nodes = list(kept.values())
  del graph_def.node[:]
  graph_def.node.extend(nodes)


def _needed(nodes, names):
  """The names of all nodes that those in `names` depend on, and their own."""
  needed, stack = set(), list(names)
  while stack:
    name = stack.pop()
    if name not in needed:
      needed.add(name)
      stack += map(_node, nodes[name].input)
  return needed


def _make_portable(graph_def, keep):
  """Prunes to `keep`, sorts, and drops all that names a device, a process or a source file."""
  nodes = {node.name: node for node in graph_def.node}
  needed = _needed(nodes, keep)
  result = type(graph_def)(versions=graph_def.versions,
                           node=[nodes[name] for name in sorted(needed)])
  functions = {function.signature.name: function for function in graph_def.library.function}
  numbers = {}
  _number_functions(result.node, functions, numbers)
  result.library.function.extend(functions[name] for name in numbers)
  _strip(result.node, numbers)
  for function in result.library.function:
    function.signature.name = numbers[function.signature.name]
    function.node_def.sort(key=lambda node: node.name)
    _number_arguments(function)
    _strip(function.node_def, numbers)
    for attributes in [function.attr] + [entry.attr for entry in function.arg_attr.values()]:
      _drop_private(attributes)
  graph_def.CopyFrom(result)


def _references(node):
  """The attributes of a node that name functions."""
  for _, attribute in sorted(node.attr.items()):
    yield from [attribute.func] if attribute.HasField("func") else attribute.list.func


def _number_functions(nodes, functions, numbers):
  """Their names end in the count of traces before them: numbers them in order of use instead."""
  for node in sorted(nodes, key=lambda node: node.name):
    for name in [reference.name for reference in _references(node)] + [node.op]:
      if name in functions and name not in numbers:
        numbers[name] = f"function_{len(numbers)}"
        _number_functions(functions[name].node_def, functions, numbers)


def _number_arguments(function):
  """Arguments of loops hold such a count too (`while_cond_45___redundant_placeholder0`)."""
  rename = {argument.name: f"argument_{i}"
            for i, argument in enumerate(function.signature.input_arg)}
  for argument in function.signature.input_arg:
    argument.name = rename[argument.name]
  for node in function.node_def:
    node.input[:] = [_renamed(reference, rename) for reference in node.input]
  for name, reference in list(function.ret.items()):
    function.ret[name] = _renamed(reference, rename)


def _strip(nodes, numbers):
  for node in nodes:
    node.device = ""
    node.op = numbers.get(node.op, node.op)
    node.ClearField("experimental_debug_info")
    for reference in _references(node):
      reference.name = numbers.get(reference.name, reference.name)
    _drop_private(node.attr)


def _drop_private(attributes):
  """`_class`, `_XlaMustCompile`, `config_proto`: hints of this process to its own runtime."""
  for name in [name for name in attributes if name.startswith("_") or name == "config_proto"]:
    del attributes[name]
