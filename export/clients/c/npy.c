/* Valid C and valid C++: the clients of both languages compile it. */
#include "npy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads the header's dict, which numpy writes as
   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 28, 28, 1), } */
static int ReadHeader(const char* text, Array* array) {
  const char* at = strstr(text, "'descr': '");
  if (!at || sscanf(at + 10, "%7[^']", array->type) != 1) return 0;
  if (!strchr("fiub", array->type[1]) || !array->type[1]) return 0;
  if (!strstr(text, "'fortran_order': False")) return 0;
  if (!(at = strstr(text, "'shape': ("))) return 0;
  at += 10;
  array->rank = 0;
  array->bytes = strtoul(array->type + 2, NULL, 10);
  if (array->bytes < 1 || array->bytes > 16) return 0;
  while (*at != ')') {
    char* end;
    if (array->rank == kMaxRank) return 0;
    int64_t size = strtoll(at, &end, 10);
    if (end == at || size < 0) return 0;
    if (size && array->bytes > (SIZE_MAX >> 1) / (size_t)size) return 0;
    array->shape[array->rank++] = size;
    array->bytes *= (size_t)size;
    for (at = end; *at == ',' || *at == ' '; ++at) {
    }
    if (!*at) return 0;
  }
  return 1;
}

const char* ReadNpy(const char* path, Array* array) {
  unsigned char start[8], lengths[4];
  const char* problem = "not a .npy file of a row-major array of numbers";
  FILE* file = fopen(path, "rb");
  if (!file) return strerror(errno);
  memset(array, 0, sizeof *array);
  if (fread(start, 1, 8, file) == 8 && !memcmp(start, "\x93NUMPY", 6)) {
    size_t wide = start[6] == 1 ? 2 : 4, length = 0;
    if (fread(lengths, 1, wide, file) == wide) {
      for (size_t i = wide; i-- > 0;) length = length << 8 | lengths[i];
      char* text = length < 65536 ? (char*)calloc(1, length + 1) : NULL;
      if (text && fread(text, 1, length, file) == length && ReadHeader(text, array)) {
        /* The file's size is looked at before that many bytes are asked for. */
        long here = ftell(file);
        fseek(file, 0, SEEK_END);
        problem = "shorter than its header says";
        if ((size_t)(ftell(file) - here) >= array->bytes) {
          fseek(file, here, SEEK_SET);
          array->data = malloc(array->bytes ? array->bytes : 1);
          if (array->data && fread(array->data, 1, array->bytes, file) == array->bytes) {
            problem = NULL;
          }
        }
      }
      free(text);
    }
  }
  fclose(file);
  return problem;
}

const char* WriteNpy(const char* path, const Array* array) {
  char text[256], shape[160] = "";
  for (int i = 0; i < array->rank; ++i) {
    size_t used = strlen(shape);
    snprintf(shape + used, sizeof shape - used, "%lld,%s", (long long)array->shape[i],
             i + 1 < array->rank ? " " : "");
  }
  int length = snprintf(text, sizeof text,
                        "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", array->type,
                        shape);
  /* Magic, version and length are 10 bytes; the data begin at a multiple of 64. */
  int padded = (10 + length + 1 + 63) / 64 * 64 - 10;
  unsigned char start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(padded & 255),
                             (unsigned char)(padded >> 8)};
  FILE* file = fopen(path, "wb");
  if (!file) return strerror(errno);
  fwrite(start, 1, 10, file);
  fprintf(file, "%s%*s\n", text, padded - length - 1, "");
  fwrite(array->data, 1, array->bytes, file);
  int failed = ferror(file);
  return fclose(file) || failed ? strerror(errno) : NULL;
}
