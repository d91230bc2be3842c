/* .npy files, numpy's format of one array. */
#ifndef NPY_H_
#define NPY_H_

#include <stddef.h>
#include <stdint.h>

enum { kMaxRank = 8 };

typedef struct {
  char type[8];              /* numpy's name of the type: <f4, |u1 */
  int rank;
  int64_t shape[kMaxRank];
  size_t bytes;              /* of data */
  void* data;                /* row-major; the reader's caller frees it */
} Array;

/* Both return NULL, or what is wrong in words. */
const char* ReadNpy(const char* path, Array* array);
const char* WriteNpy(const char* path, const Array* array);

#endif
