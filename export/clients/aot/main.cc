// Calls a signature that was compiled ahead of time; the executable has model and weights in it.
//
//   make MODEL=OUT/aot ABSL=FOLDER && ./client encode images=images.npy [--out=FOLDER] [--calls=N]
//
// Names and types come from MODEL/model.h, which the converter wrote. Inputs are answered one fixed
// batch at a time. Prints the shape of every output; --out writes FOLDER/NAME.npy as well, --calls
// times N further passes over the inputs. Exit code 2: a mistake.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "npy.h"
#include "tensorflow/compiler/tf2xla/xla_compiled_cpu_function.h"

// One copy of the weights for all signatures, at an address as XLA wants its buffers.
asm(".section .rodata\n.balign 64\n.globl kWeights\nkWeights:\n.incbin " "\"" WEIGHTS "\"\n"
    ".previous");
extern "C" char kWeights[];

namespace {

using Function = tensorflow::XlaCompiledCpuFunction;

struct Port {
  const char* name;
  const char* type;          // as numpy calls it
  int index;                 // of the argument or result; -1: the outputs do not depend on it
  std::vector<int64_t> shape;  // of one batch
};

struct Weight {
  int index;      // of the argument
  size_t offset;  // bytes from kWeights
};

struct Signature {
  const char* name;
  std::unique_ptr<Function> (*make)();
  std::vector<Port> inputs, outputs;
  std::vector<Weight> weights;
};

template <class Compiled>
std::unique_ptr<Function> Make() {
  // Arguments are set to point at what is there already: weights are not copied.
  return std::make_unique<Compiled>(Function::AllocMode::RESULTS_PROFILES_AND_TEMPS_ONLY);
}

}  // namespace

#include "model.h"  // const std::vector<Signature>& Signatures(), from the types above

namespace {

struct Mistake : std::runtime_error {
  using std::runtime_error::runtime_error;
};

double Milliseconds() {
  return std::chrono::duration<double, std::milli>(
      std::chrono::steady_clock::now().time_since_epoch()).count();
}

double ResidentMegabytes() {
  std::ifstream file("/proc/self/status");
  double kilobytes = 0;
  for (std::string line; std::getline(file, line);) {
    std::sscanf(line.c_str(), "VmRSS: %lf", &kilobytes);
  }
  return kilobytes / 1024;
}

size_t Bytes(const Port& port) {
  size_t bytes = std::strtoul(port.type + 2, nullptr, 10);
  for (int64_t size : port.shape) bytes *= size;
  return bytes;
}

const Signature& Find(const std::string& key) {
  std::string list;
  for (const Signature& signature : Signatures()) {
    if (key == signature.name) return signature;
    list += std::string(" ") + signature.name;
  }
  throw Mistake("signature " + key + ": expected one of" + list + ".");
}

Array Read(const Port& port, const std::map<std::string, std::string>& files) {
  const std::string name = port.name;
  const auto file = files.find(name);
  if (file == files.end()) {
    throw Mistake("the signature takes " + name + ": add " + name + "=FILE.npy.");
  }
  const std::string what = name + "=" + file->second;
  Array array;
  if (const char* problem = ReadNpy(file->second.c_str(), &array)) {
    throw Mistake(what + ": " + problem + ".");
  }
  if (std::strcmp(port.type, array.type)) {
    throw Mistake(what + ": values of type " + array.type + ", the model takes " + port.type + ".");
  }
  const std::vector<int64_t> shape(array.shape, array.shape + array.rank);
  if (shape.size() != port.shape.size() || shape[0] < 1 || shape[0] % port.shape[0] ||
      !std::equal(shape.begin() + 1, shape.end(), port.shape.begin() + 1)) {
    std::string expected;
    for (size_t i = 1; i < port.shape.size(); ++i) expected += ", " + std::to_string(port.shape[i]);
    throw Mistake(what + ": expected the shape [a multiple of " + std::to_string(port.shape[0]) +
                  expected + "].");
  }
  return array;
}

void Show(const Port& port, int64_t batches, void* data, const std::string& folder) {
  Array array = {"", static_cast<int>(port.shape.size()), {0}, Bytes(port) * batches, data};
  std::printf("%s %s [", port.name, port.type);
  for (int i = 0; i < array.rank; ++i) {
    array.shape[i] = port.shape[i] * (i ? 1 : batches);
    std::printf("%s%lld", i ? ", " : "", static_cast<long long>(array.shape[i]));
  }
  std::printf("]\n");
  if (folder.empty()) return;
  std::filesystem::create_directories(folder);
  const std::string path = folder + "/" + port.name + ".npy";
  std::strcpy(array.type, port.type);
  if (const char* problem = WriteNpy(path.c_str(), &array)) {
    throw Mistake(path + ": " + problem + ".");
  }
}

void Run(int argc, char** argv) {
  const double start = Milliseconds();
  if (argc < 3) throw Mistake("expected SIGNATURE INPUT=FILE.npy ... [--out=FOLDER] [--calls=N].");
  std::map<std::string, std::string> files;
  std::string folder;
  int calls = 0;
  for (int i = 2; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    if (!argument.compare(0, 6, "--out=")) folder = argument.substr(6);
    else if (!argument.compare(0, 8, "--calls=")) calls = std::max(0, std::atoi(argv[i] + 8));
    else if (argument[0] != '-' && equals != std::string::npos) {
      files[argument.substr(0, equals)] = argument.substr(equals + 1);
    } else throw Mistake(argument + ": expected INPUT=FILE.npy, --out=FOLDER or --calls=N.");
  }
  const Signature& signature = Find(argv[1]);
  const std::unique_ptr<Function> function = signature.make();
  for (const Weight& weight : signature.weights) {
    function->set_arg_data(weight.index, kWeights + weight.offset);
  }
  const double loaded = Milliseconds();

  std::vector<Array> inputs;
  for (const Port& port : signature.inputs) {
    inputs.push_back(Read(port, files));
    if (inputs.back().shape[0] != inputs[0].shape[0]) {
      throw Mistake(std::string(port.name) + ": as many examples are expected as of " +
                    signature.inputs[0].name + ".");
    }
  }
  const int64_t batches = inputs[0].shape[0] / signature.inputs[0].shape[0];
  std::vector<std::vector<char>> outputs, buffers;
  for (const Port& port : signature.outputs) outputs.emplace_back(Bytes(port) * batches);
  // XLA wants its buffers at multiples of 64; a batch in the file lies anywhere.
  std::vector<char*> aligned;
  for (const Port& port : signature.inputs) {
    buffers.emplace_back(Bytes(port) + 63);
    const uintptr_t address = reinterpret_cast<uintptr_t>(buffers.back().data());
    aligned.push_back(buffers.back().data() + (64 - address % 64) % 64);
    if (port.index >= 0) function->set_arg_data(port.index, aligned.back());
  }

  std::vector<double> times;
  double answered = 0;
  for (int call = 0; call <= calls; ++call) {
    const double begin = Milliseconds();
    for (int64_t batch = 0; batch < batches; ++batch) {
      for (size_t i = 0; i < inputs.size(); ++i) {
        const size_t bytes = Bytes(signature.inputs[i]);
        std::memcpy(aligned[i], static_cast<char*>(inputs[i].data) + batch * bytes, bytes);
      }
      if (!function->Run()) throw Mistake(std::string(argv[1]) + ": " + function->error_msg());
      for (size_t i = 0; i < outputs.size(); ++i) {
        const Port& port = signature.outputs[i];
        std::memcpy(outputs[i].data() + batch * Bytes(port), function->result_data(port.index),
                    Bytes(port));
      }
    }
    times.push_back(Milliseconds() - begin);
    if (!call) answered = Milliseconds();
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    Show(signature.outputs[i], batches, outputs[i].data(), folder);
  }
  for (Array& array : inputs) std::free(array.data);
  if (!calls) return;
  std::sort(times.begin() + 1, times.end());
  std::printf("timing load_ms=%.3f first_ms=%.3f main_to_answer_ms=%.3f p50_ms=%.4f p99_ms=%.4f "
              "resident_mb=%.1f\n", loaded - start, times[0], answered - start,
              times[1 + calls / 2], times[1 + (calls * 99 - 1) / 100], ResidentMegabytes());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Run(argc, argv);
    return 0;
  } catch (const std::exception& mistake) {
    std::fprintf(stderr, "client: %s\n", mistake.what());
    return 2;
  }
}
