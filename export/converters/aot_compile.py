"""The process that compiles signatures: XLA reads its flags once, and ends a process on a bug.

  python aot_compile.py D/1 FOLDER BATCH KEY,...

Writes FOLDER/sN.h and .o for each key, weights.bin for all, model.h, the table that clients/aot
includes. The last line of stdout is JSON: {key: its object, or {"failed": why}}.
"""

import json
import os
import pathlib
import sys

sys.path.pop(0)  # this folder's onnx.py and openvino.py are not those of these names
os.environ["XLA_FLAGS"] = ("--xla_cpu_multi_thread_eigen=false "
                           "--xla_cpu_experimental_ynn_fusion_type= ")
import tensorflow as tf
from tensorflow.compiler.tf2xla import tf2xla_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python import _pywrap_tfcompile

CPU = "x86-64-v3"  # AVX2 and FMA: of 2013 or later
ALIGNMENT = 64  # of XLA's buffers
LEAST = 256  # values of a constant that is fed, so that signatures share it
NUMPY = {tf.float32: "<f4", tf.float64: "<f8", tf.float16: "<f2", tf.int32: "<i4",
         tf.int64: "<i8", tf.uint8: "|u1", tf.int8: "|i1", tf.bool: "|b1"}


class Weights:
  """The constants that are fed, each stored once; `graph_def`'s are placeholders afterwards."""

  def __init__(self, graph_def):
    self.offsets, self.types, self.content = {}, {}, bytearray()
    for node in graph_def.node:
      if node.op != "Const":
        continue
      proto = node.attr["value"].tensor
      value = tf.make_ndarray(proto)
      if value.dtype.kind != "f" or value.size < LEAST:
        continue
      self.content += bytes(-len(self.content) % ALIGNMENT)
      self.offsets[node.name] = len(self.content)
      self.types[node.name] = (proto.dtype, value.shape)
      self.content += value.tobytes()
      node.op = "Placeholder"
      del node.input[:]
      node.attr.clear()
      node.attr["dtype"].type = proto.dtype
      node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())


def split(tensor):
  op, index = tensor.rsplit(":", 1)
  return op, int(index)


def compile_one(graph_def, signature, weights, batch, name, folder):
  """Compiles one signature; returns its row of model.h."""
  graph_def = tf.compat.v1.graph_util.extract_sub_graph(
      graph_def, [split(info.name)[0] for info in signature.outputs.values()])
  there = {node.name for node in graph_def.node}
  config = tf2xla_pb2.Config()
  rows = {"inputs": [], "outputs": [], "weights": []}
  for side, entries in (("inputs", config.feed), ("outputs", config.fetch)):
    for port, info in sorted(getattr(signature, side).items()):
      op, index = split(info.name)
      shape = [batch, *(dim.size for dim in info.tensor_shape.dim[1:])]
      dtype = tf.as_dtype(info.dtype)
      if dtype not in NUMPY or min(shape) < 0 or not info.tensor_shape.dim:
        raise ValueError(f"{port} is {dtype.name} {shape}: only numbers of a fixed size are taken")
      rows[side].append((port, NUMPY[dtype], len(entries) if op in there else -1, shape))
      if op in there:
        entry = entries.add(name=f"{side}_{len(entries)}")
        entry.id.node_name, entry.id.output_index = op, index
        if side == "inputs":
          entry.type = info.dtype
          entry.shape.CopyFrom(tf.TensorShape(shape).as_proto())
  for op in sorted(weights.offsets.keys() & there):
    dtype, shape = weights.types[op]
    rows["weights"].append((len(config.feed), weights.offsets[op]))
    entry = config.feed.add(name=f"weight_{len(config.feed)}", type=dtype)
    entry.id.node_name = op
    entry.shape.CopyFrom(tf.TensorShape(shape).as_proto())
  graph, settings = folder / "graph.pb", folder / "config.pbtxt"
  graph.write_bytes(graph_def.SerializeToString())
  settings.write_text(str(config))
  part = lambda suffix: str(folder / f"{name}{suffix}")
  try:
    _pywrap_tfcompile.Compile(
        graph=str(graph), config=str(settings), cpp_class=f"aot::{name}",
        target_triple="x86_64-pc-linux", target_cpu=CPU, entry_point=f"aot_{name}",
        out_function_object=part(".o"), out_header=part(".h"), out_metadata_object=part("_meta.o"),
        out_constant_buffers_object=part("_constants.o"), gen_name_to_index=False,
        gen_program_shape=False)
  finally:
    for path in (graph, settings, folder / f"{name}_meta.o"):  # read by nothing that is linked
      path.unlink(missing_ok=True)
  return rows


def table(rows):
  """Returns the text of model.h."""
  def port(name, dtype, index, shape):
    return f'{{"{name}", "{dtype}", {index}, {{{", ".join(map(str, shape))}}}}}'
  text = "// Written by convert_saved_model.py --to=aot; clients/aot/main.cc includes it.\n"
  text += "".join(f'#include "{name}.h"\n' for name in rows)
  text += "\nstatic const std::vector<Signature>& Signatures() {\n"
  text += "  static const std::vector<Signature> k{\n"
  for name, (key, row) in rows.items():
    inputs, outputs = (", ".join(port(*p) for p in row[side]) for side in ("inputs", "outputs"))
    feeds = ", ".join(f"{{{index}, {offset}}}" for index, offset in row["weights"])
    text += (f'    {{"{key}", Make<aot::{name}>,\n      {{{inputs}}},\n      {{{outputs}}},\n'
             f"      {{{feeds}}}}},\n")
  return text + "  };\n  return k;\n}\n"


def main(directory, folder, batch, keys):
  content = (pathlib.Path(directory) / "saved_model.pb").read_bytes()
  meta_graph = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0]
  graph_def, folder = meta_graph.graph_def, pathlib.Path(folder)
  weights = Weights(graph_def)
  rows, answer = {}, {}
  for number, key in enumerate(keys.split(",")):
    name = f"s{number}"
    try:
      rows[name] = (key, compile_one(graph_def, meta_graph.signature_def[key], weights, int(batch),
                                     name, folder))
      answer[key] = f"{name}.o"
    except Exception as error:  # whatever XLA can't compile is left out, and said so
      answer[key] = {"failed": " ".join(str(error).split())[:300]}
      for path in folder.glob(f"{name}[._]*"):
        path.unlink()
  (folder / "weights.bin").write_bytes(weights.content or b"\0")
  (folder / "model.h").write_text(table(rows))
  return answer


if __name__ == "__main__":
  print(json.dumps(main(*sys.argv[1:])))
