/* Calls a signature of an exported model through TensorFlow's C API.

     make && ./client D/1 encode images=images.npy [--out=FOLDER] [--calls=N]

   Names and types come from the model's SignatureDef. Prints the shape of every output; --out
   writes FOLDER/NAME.npy as well, --calls times N further calls. Exit code 2: a mistake. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "npy.h"
#include "signature.h"
#include "tensorflow/c/c_api.h"

static void Fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("client: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(2);
}

static void Check(const TF_Status* status, const char* what) {
  if (TF_GetCode(status) != TF_OK) {
    const char* message = TF_Message(status);
    Fail("%s: %.*s", what, (int)strcspn(message, "\n"), message);
  }
}

/* ConfigProto{graph_options{optimizer_options{opt_level: L0}
   rewrite_options{disable_meta_optimizer: true}}}: an export is frozen, and rewriting its graph
   anew in every process is half of the time from main to the first answer. */
static const unsigned char kConfig[] = {
    0x52, 0x12, 0x1a, 0x0b, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0x01, 0x52, 0x03, 0x98, 0x01, 0x01};

static double Milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static double ResidentMegabytes(void) {
  char line[256];
  double kilobytes = 0;
  FILE* file = fopen("/proc/self/status", "r");
  while (file && fgets(line, sizeof line, file)) sscanf(line, "VmRSS: %lf", &kilobytes);
  if (file) fclose(file);
  return kilobytes / 1024;
}

static const char* NumpyType(int dtype) {
  switch (dtype) {
    case TF_FLOAT: return "<f4";
    case TF_DOUBLE: return "<f8";
    case TF_HALF: return "<f2";
    case TF_INT32: return "<i4";
    case TF_INT64: return "<i8";
    case TF_UINT8: return "|u1";
    case TF_INT8: return "|i1";
    case TF_BOOL: return "|b1";
  }
  return NULL;
}

/* Ends the program unless an array has the shape that the graph states; -1 in it is any size. */
static void CheckShape(TF_Graph* graph, TF_Output output, const Array* array, const char* what) {
  TF_Status* status = TF_NewStatus();
  int rank = TF_GraphGetTensorNumDims(graph, output, status), wrong = rank != array->rank;
  int64_t shape[kMaxRank];
  char text[256] = "";
  if (rank > kMaxRank) Fail("%s: the model takes arrays of %d dimensions.", what, rank);
  if (rank >= 0) TF_GraphGetTensorShape(graph, output, shape, rank, status);
  Check(status, what);
  TF_DeleteStatus(status);
  for (int i = 0; i < rank; ++i) {
    size_t used = strlen(text);
    if (!wrong) wrong = shape[i] >= 0 && shape[i] != array->shape[i];
    snprintf(text + used, sizeof text - used, "%s%lld", i ? ", " : "", (long long)shape[i]);
  }
  if (rank >= 0 && wrong) Fail("%s: another shape than the model's [%s]; -1: any.", what, text);
}

static TF_Tensor* ReadInput(TF_Graph* graph, TF_Output output, const Tensor* input, int count,
                            char** files) {
  size_t length = strlen(input->name);
  for (int i = 0; i < count; ++i) {
    if (strncmp(files[i], input->name, length) || files[i][length] != '=') continue;
    const char *path = files[i] + length + 1, *type = NumpyType(input->dtype);
    Array array;
    const char* problem = ReadNpy(path, &array);
    if (problem) Fail("%s=%s: %s.", input->name, path, problem);
    if (!type || strcmp(type, array.type)) {
      Fail("%s=%s: values of type %s, the model takes %s.", input->name, path, array.type,
           type ? type : "one that a .npy file can't hold");
    }
    CheckShape(graph, output, &array, files[i]);
    TF_Tensor* tensor = TF_AllocateTensor(input->dtype, array.shape, array.rank, array.bytes);
    memcpy(TF_TensorData(tensor), array.data, array.bytes);
    free(array.data);
    return tensor;
  }
  Fail("the signature takes %s: add %s=FILE.npy.", input->name, input->name);
  return NULL;
}

static void Show(const Tensor* output, const TF_Tensor* tensor, const char* folder) {
  Array array = {"", TF_NumDims(tensor), {0}, TF_TensorByteSize(tensor), TF_TensorData(tensor)};
  const char *type = NumpyType(output->dtype), *problem;
  printf("%s %s [", output->name, type ? type : "?");
  for (int i = 0; i < array.rank; ++i) {
    if (i < kMaxRank) array.shape[i] = TF_Dim(tensor, i);
    printf("%s%lld", i ? ", " : "", (long long)TF_Dim(tensor, i));
  }
  printf("]\n");
  if (!folder) return;
  char path[4096];
  mkdir(folder, 0777); /* if it is there, or can't be made, writing says so */
  snprintf(path, sizeof path, "%s/%s.npy", folder, output->name);
  if (!type || array.rank > kMaxRank) Fail("%s: a .npy file of this program can't hold it.", path);
  strcpy(array.type, type);
  problem = WriteNpy(path, &array);
  if (problem) Fail("%s: %s.", path, problem);
}

static TF_Output Find(TF_Graph* graph, const Tensor* tensor) {
  TF_Output output = {TF_GraphOperationByName(graph, tensor->op), tensor->index};
  if (!output.oper) Fail("the graph has no op %s, which the signature names.", tensor->op);
  return output;
}

static int Ascending(const void* one, const void* other) {
  double a = *(const double*)one, b = *(const double*)other;
  return (a > b) - (a < b);
}

int main(int argc, char** argv) {
  double start = Milliseconds();
  const char* folder = NULL;
  int calls = 0, count = 0;
  char** files = calloc((size_t)argc, sizeof *files);
  if (argc < 4) Fail("expected D/1 SIGNATURE INPUT=FILE.npy ... [--out=FOLDER] [--calls=N].");
  for (int i = 3; i < argc; ++i) {
    if (!strncmp(argv[i], "--out=", 6)) folder = argv[i] + 6;
    else if (!strncmp(argv[i], "--calls=", 8)) calls = atoi(argv[i] + 8);
    else if (argv[i][0] != '-' && strchr(argv[i], '=')) files[count++] = argv[i];
    else Fail("%s: expected INPUT=FILE.npy, --out=FOLDER or --calls=N.", argv[i]);
  }

  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_Buffer* meta_graph = TF_NewBuffer();
  TF_SessionOptions* options = TF_NewSessionOptions();
  TF_SetConfig(options, kConfig, sizeof kConfig, status);
  Check(status, "ConfigProto");
  const char* tags[] = {"serve"};
  TF_Session* session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph,
                                                     meta_graph, status);
  Check(status, argv[1]);
  double loaded = Milliseconds();

  Signature signature;
  char keys[4096];
  int found = ReadSignature(meta_graph->data, meta_graph->length, argv[2], &signature, keys,
                            sizeof keys);
  if (found < 0) Fail("%s: its SignatureDefs can't be read.", argv[1]);
  if (!found) Fail("signature %s: expected one of %s.", argv[2], keys);

  TF_Output inputs[kMaxTensors], outputs[kMaxTensors];
  TF_Tensor *values[kMaxTensors], *results[kMaxTensors] = {NULL};
  for (int i = 0; i < signature.num_inputs; ++i) {
    inputs[i] = Find(graph, &signature.inputs[i]);
    values[i] = ReadInput(graph, inputs[i], &signature.inputs[i], count, files);
  }
  for (int i = 0; i < signature.num_outputs; ++i) outputs[i] = Find(graph, &signature.outputs[i]);

  double* times = calloc((size_t)calls + 1, sizeof *times);
  double first = 0, answered = 0;
  for (int call = 0; call <= calls; ++call) {
    for (int i = 0; i < signature.num_outputs; ++i) TF_DeleteTensor(results[i]);
    double begin = Milliseconds();
    TF_SessionRun(session, NULL, inputs, values, signature.num_inputs, outputs, results,
                  signature.num_outputs, NULL, 0, NULL, status);
    times[call] = Milliseconds() - begin;
    Check(status, argv[2]);
    if (!call) answered = Milliseconds(), first = times[0];
  }
  for (int i = 0; i < signature.num_outputs; ++i) Show(&signature.outputs[i], results[i], folder);
  if (calls) {
    qsort(times + 1, (size_t)calls, sizeof *times, Ascending);
    printf("timing load_ms=%.3f first_ms=%.3f main_to_answer_ms=%.3f p50_ms=%.4f p99_ms=%.4f "
           "resident_mb=%.1f\n", loaded - start, first, answered - start, times[1 + calls / 2],
           times[1 + (calls * 99 - 1) / 100], ResidentMegabytes());
  }

  for (int i = 0; i < signature.num_inputs; ++i) TF_DeleteTensor(values[i]);
  for (int i = 0; i < signature.num_outputs; ++i) TF_DeleteTensor(results[i]);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteBuffer(meta_graph);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  free(times);
  free(files);
  return 0;
}
