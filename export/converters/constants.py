"""Computing what a graph computes from constants alone, once, for converters that can't."""

import tensorflow.compat.v1 as tf


def fold(graph_def):
  """Returns a GraphDef in which ops that only constants reach are constants of the same names.

  Identities stay, so that no weight is stored twice, and so do ops of several outputs and of
  functions. Nodes that nothing needs any more stay too.
  """
  nodes = {node.name: node for node in graph_def.node}
  known = {}  # name -> whether it is constant

  def is_constant(name):
    name = name.split(":")[0].removeprefix("^")
    if name not in known:
      node = nodes[name]
      known[name] = node.op == "Const" or bool(node.input) and all(map(is_constant, node.input))
    return known[name]

  with tf.Graph().as_default() as graph:
    tf.import_graph_def(graph_def, name="")
  fetches = [node.name for node in graph_def.node
             if node.op not in ("Const", "Identity") and is_constant(node.name)
             and len(graph.get_operation_by_name(node.name).outputs) == 1]
  with tf.Session(graph=graph) as session:
    values = dict(zip(fetches, session.run([f"{name}:0" for name in fetches])))
  folded = tf.GraphDef()
  folded.CopyFrom(graph_def)
  for node in folded.node:
    if node.name in values:
      tensor = tf.make_tensor_proto(values[node.name])
      node.op = "Const"
      del node.input[:]
      node.attr.clear()
      node.attr["dtype"].type = tensor.dtype
      node.attr["value"].tensor.CopyFrom(tensor)
  return folded
