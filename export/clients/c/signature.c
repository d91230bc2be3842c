/* The wire format of protocol buffers, as far as a SignatureDef needs it: a field is a varint
   (number << 3 | type); type 2 is a varint length and so many bytes. */
#include "signature.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const unsigned char *at, *end;
} Bytes;

static int Varint(Bytes* in, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64 && in->at < in->end; shift += 7) {
    unsigned char byte = *in->at++;
    *value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return 1;
  }
  return 0;
}

/* Takes the next field: `value` of a varint, `body` of a length-delimited one. Returns 1, 0 at the
   end, -1 for damage. */
static int Next(Bytes* in, int* number, uint64_t* value, Bytes* body) {
  uint64_t tag, length = 0;
  if (in->at == in->end) return 0;
  if (!Varint(in, &tag)) return -1;
  *number = (int)(tag >> 3);
  switch (tag & 7) {
    case 0: return Varint(in, value) ? 1 : -1;
    case 1: length = 8; break;
    case 2: if (!Varint(in, &length)) return -1; break;
    case 5: length = 4; break;
    default: return -1;
  }
  if (length > (uint64_t)(in->end - in->at)) return -1;
  body->at = in->at;
  body->end = in->at = in->at + length;
  return 1;
}

static int Text(Bytes body, char* text) {
  size_t length = (size_t)(body.end - body.at);
  if (length >= kMaxName) return 0;
  if (length) memcpy(text, body.at, length); /* of NULL not even 0 bytes */
  text[length] = 0;
  return 1;
}

/* TensorInfo: 1 name ("op:index"), 2 dtype. */
static int ReadTensor(Bytes in, Tensor* tensor) {
  int number, more;
  uint64_t value = 0;
  Bytes body = {0, 0};
  while ((more = Next(&in, &number, &value, &body)) == 1) {
    if (number == 1 && !Text(body, tensor->op)) return 0;
    if (number == 2) tensor->dtype = (int)value;
  }
  char* colon = strrchr(tensor->op, ':');
  if (more < 0 || !colon) return 0;
  tensor->index = atoi(colon + 1);
  *colon = 0;
  return 1;
}

/* An entry of a map field: 1 key, 2 value. */
static int ReadEntry(Bytes in, char* key, Bytes* value) {
  int number, more;
  uint64_t ignored;
  Bytes body = {0, 0};
  key[0] = 0;
  value->at = value->end = in.end;
  while ((more = Next(&in, &number, &ignored, &body)) == 1) {
    if (number == 1 && !Text(body, key)) return 0;
    if (number == 2) *value = body;
  }
  return more == 0;
}

/* SignatureDef: 1 inputs, 2 outputs, both map<string, TensorInfo>. */
static int ReadBody(Bytes in, Signature* signature) {
  int number, more;
  uint64_t ignored;
  Bytes body = {0, 0}, info;
  while ((more = Next(&in, &number, &ignored, &body)) == 1) {
    if (number != 1 && number != 2) continue;
    int* count = number == 1 ? &signature->num_inputs : &signature->num_outputs;
    if (*count == kMaxTensors) return 0;
    Tensor* tensor = (number == 1 ? signature->inputs : signature->outputs) + (*count)++;
    if (!ReadEntry(body, tensor->name, &info) || !ReadTensor(info, tensor)) return 0;
  }
  return more == 0;
}

int ReadSignature(const void* bytes, size_t size, const char* key, Signature* signature, char* keys,
                  size_t keys_size) {
  const unsigned char* start = bytes;
  Bytes in = {start, start + size}, body = {0, 0}, value;
  int number, more;
  uint64_t ignored;
  char name[kMaxName];
  memset(signature, 0, sizeof *signature);
  keys[0] = 0;
  /* MetaGraphDef: 5 signature_def, map<string, SignatureDef>. */
  while ((more = Next(&in, &number, &ignored, &body)) == 1) {
    if (number != 5) continue;
    if (!ReadEntry(body, name, &value)) return -1;
    if (!strcmp(name, key)) return ReadBody(value, signature) ? 1 : -1;
    size_t used = strlen(keys);
    snprintf(keys + used, keys_size - used, "%s%s", used ? " " : "", name);
  }
  return more;
}
