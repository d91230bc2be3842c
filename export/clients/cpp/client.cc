// Calls a signature of an exported model through TensorFlow's C++ API.
//
//   make && ./client D/1 encode images=images.npy [--out=FOLDER] [--calls=N]
//
// Names and types come from the model's SignatureDef. Prints the shape of every output; --out
// writes FOLDER/NAME.npy as well, --calls times N further calls. Exit code 2: a mistake.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "npy.h"
#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/public/session.h"

namespace {

using tensorflow::DataType;
using tensorflow::Tensor;

struct Mistake : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void Check(const absl::Status& status, const std::string& what) {
  if (status.ok()) return;
  std::string message(status.message());
  throw Mistake(what + ": " + message.substr(0, message.find('\n')));
}

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

// Returns numpy's name of a type, or nullptr for one that a .npy file of numbers can't hold.
const char* NumpyType(DataType dtype) {
  switch (dtype) {
    case tensorflow::DT_FLOAT: return "<f4";
    case tensorflow::DT_DOUBLE: return "<f8";
    case tensorflow::DT_HALF: return "<f2";
    case tensorflow::DT_INT32: return "<i4";
    case tensorflow::DT_INT64: return "<i8";
    case tensorflow::DT_UINT8: return "|u1";
    case tensorflow::DT_INT8: return "|i1";
    case tensorflow::DT_BOOL: return "|b1";
    default: return nullptr;
  }
}

Tensor ReadInput(const std::string& name, const tensorflow::TensorInfo& info,
                 const std::string& path) {
  const DataType dtype = info.dtype();
  Array array;
  const std::string what = name + "=" + path;
  if (const char* problem = ReadNpy(path.c_str(), &array)) {
    throw Mistake(what + ": " + problem + ".");
  }
  const char* type = NumpyType(dtype);
  if (!type || std::strcmp(type, array.type)) {
    throw Mistake(what + ": values of type " + array.type + ", the model takes " +
                  (type ? type : "one that a .npy file can't hold") + ".");
  }
  tensorflow::TensorShape shape;
  for (int i = 0; i < array.rank; ++i) shape.AddDim(array.shape[i]);
  const tensorflow::PartialTensorShape wanted(info.tensor_shape());
  if (!wanted.IsCompatibleWith(shape)) {
    throw Mistake(what + ": shape " + shape.DebugString() + ", the model takes " +
                  wanted.DebugString() + ".");
  }
  Tensor tensor(dtype, shape);
  std::memcpy(tensor.data(), array.data, array.bytes);
  std::free(array.data);
  return tensor;
}

void Show(const std::string& name, const Tensor& tensor, const std::string& folder) {
  const char* type = NumpyType(tensor.dtype());
  Array array = {"", tensor.dims(), {0}, tensor.TotalBytes(), tensor.data()};
  std::printf("%s %s [", name.c_str(), type ? type : "?");
  for (int i = 0; i < array.rank; ++i) {
    if (i < kMaxRank) array.shape[i] = tensor.dim_size(i);
    std::printf("%s%lld", i ? ", " : "", static_cast<long long>(tensor.dim_size(i)));
  }
  std::printf("]\n");
  if (folder.empty()) return;
  std::filesystem::create_directories(folder);
  const std::string path = folder + "/" + name + ".npy";
  if (!type || array.rank > kMaxRank) {
    throw Mistake(path + ": a .npy file of this program can't hold it.");
  }
  std::strcpy(array.type, type);
  if (const char* problem = WriteNpy(path.c_str(), &array)) {
    throw Mistake(path + ": " + problem + ".");
  }
}

void Run(int argc, char** argv) {
  const double start = Milliseconds();
  if (argc < 4) {
    throw Mistake("expected D/1 SIGNATURE INPUT=FILE.npy ... [--out=FOLDER] [--calls=N].");
  }
  const std::string directory = argv[1], key = argv[2];
  std::map<std::string, std::string> files;
  std::string folder;
  int calls = 0;
  for (int i = 3; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    if (!argument.compare(0, 6, "--out=")) folder = argument.substr(6);
    else if (!argument.compare(0, 8, "--calls=")) calls = std::max(0, std::atoi(argv[i] + 8));
    else if (argument[0] != '-' && equals != std::string::npos) {
      files[argument.substr(0, equals)] = argument.substr(equals + 1);
    } else throw Mistake(argument + ": expected INPUT=FILE.npy, --out=FOLDER or --calls=N.");
  }

  tensorflow::SavedModelBundleLite bundle;
  Check(tensorflow::LoadSavedModel({}, {}, directory, {"serve"}, &bundle), directory);
  const double loaded = Milliseconds();

  const auto& signatures = bundle.GetSignatures();
  const auto found = signatures.find(key);
  if (found == signatures.end()) {
    std::vector<std::string> keys;
    for (const auto& entry : signatures) keys.push_back(entry.first);
    std::sort(keys.begin(), keys.end());
    std::string list;
    for (const auto& name : keys) list += " " + name;
    throw Mistake("signature " + key + ": expected one of" + list + ".");
  }
  std::vector<std::pair<std::string, Tensor>> inputs;
  for (const auto& [name, info] : found->second.inputs()) {
    if (!files.count(name)) {
      throw Mistake("the signature takes " + name + ": add " + name + "=FILE.npy.");
    }
    inputs.emplace_back(info.name(), ReadInput(name, info, files[name]));
  }
  std::vector<std::string> names, fetches;
  for (const auto& [name, info] : found->second.outputs()) {
    names.push_back(name);
    fetches.push_back(info.name());
  }

  std::vector<Tensor> results;
  std::vector<double> times;
  double answered = 0;
  for (int call = 0; call <= calls; ++call) {
    const double begin = Milliseconds();
    Check(bundle.GetSession()->Run(inputs, fetches, {}, &results), key);
    times.push_back(Milliseconds() - begin);
    if (!call) answered = Milliseconds();
  }
  for (size_t i = 0; i < names.size(); ++i) Show(names[i], results[i], folder);
  if (!calls) return;
  const double first = times[0];
  std::sort(times.begin() + 1, times.end());
  std::printf("timing load_ms=%.3f first_ms=%.3f main_to_answer_ms=%.3f p50_ms=%.4f p99_ms=%.4f "
              "resident_mb=%.1f\n", loaded - start, first, answered - start, times[1 + calls / 2],
              times[1 + (calls * 99 - 1) / 100], ResidentMegabytes());
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
