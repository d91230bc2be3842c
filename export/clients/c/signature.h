/* A signature of a SavedModel, read from the MetaGraphDef that the C API returns. */
#ifndef SIGNATURE_H_
#define SIGNATURE_H_

#include <stddef.h>

enum { kMaxTensors = 16, kMaxName = 256 };

typedef struct {
  char name[kMaxName];   /* as the signature calls it: codes */
  char op[kMaxName];     /* the op in the graph: encode/codes */
  int index;             /* which of its outputs */
  int dtype;             /* a TF_DataType */
} Tensor;

typedef struct {
  Tensor inputs[kMaxTensors], outputs[kMaxTensors];
  int num_inputs, num_outputs;
} Signature;

/* Reads signature `key` of a serialized MetaGraphDef. Returns 1, 0 if there is no such signature
   (its keys are then in `keys`, separated by spaces), or -1 if the bytes are damaged. */
int ReadSignature(const void* bytes, size_t size, const char* key, Signature* signature, char* keys,
                  size_t keys_size);

#endif
