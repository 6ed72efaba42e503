// Copies between arrays whose elements lie anyhow, and those of a transpose in tiles.
#include "common.cuh"

// The axes that two arrays are gone over by, innermost first: their sizes, and for each array the
// elements between neighbours along them. Where there is none its size is 1.
constexpr int AXES = 8;
struct Axes {
  Index size[AXES], from[AXES], to[AXES];
};

struct Places {
  Index from, to;
};

// Where element number i is in both, counting from axis `start` on. T is the type of divisions.
template <class T>
DEVICE Places places(const Axes& axes, T i, int start) {
  Places found{0, 0};
  for (int k = start; k < AXES && i != 0; ++k) {
    const T rest = i / static_cast<T>(axes.size[k]);
    const Index here = static_cast<Index>(i - rest * static_cast<T>(axes.size[k]));
    found.from += here * axes.from[k];
    found.to += here * axes.to[k];
    i = rest;
  }
  return found;
}

// A division of 32 bits takes a fraction of the time of one of 64.
DEVICE Places places(const Axes& axes, Index i, int start = 0) {
  Index most = i;
  for (int k = start; k < AXES; ++k) most |= axes.size[k];
  return most >> 32 == 0 ? places<Word>(axes, Word(i), start)
                         : places<Counter>(axes, Counter(i), start);
}

template <class T>
DEVICE void copied(const T* x, T* y, Index n, const Axes& axes) {
  for (Index i = first(); i < n; i += stride()) {
    const Places at = places(axes, i);
    y[at.to] = x[at.from];
  }
}

// y = x, element by element
KERNEL copy_elements(const REAL* x, REAL* y, Index n, Axes axes) { copied(x, y, n, axes); }
KERNEL copy_integers(const Index* x, Index* y, Index n, Axes axes) { copied(x, y, n, axes); }
KERNEL copy_masks(const Mask* x, Mask* y, Index n, Axes axes) { copied(x, y, n, axes); }

// y = x in packs of 16 bytes: the axes count packs
KERNEL copy_packs(const REAL* x, REAL* y, Index n, Axes axes) {
  copied(reinterpret_cast<const Pack*>(x), reinterpret_cast<Pack*>(y), n, axes);
}

constexpr int TILE = 32, ROWS = 8;

// y = x where neighbours of y lie along axis 0 and those of x along axis 1. A block of 32 x 8
// threads copies tiles of 32 x 32 by way of shared memory, so that both arrays are gone along as
// they lie. `tiles` is how many there are.
KERNEL transpose_tiles(const REAL* x, REAL* y, Index tiles, Axes axes) {
  __shared__ REAL tile[TILE][TILE + 1];
  const Index along = (axes.size[0] + TILE - 1) / TILE, across = (axes.size[1] + TILE - 1) / TILE;
  for (Index number = blockIdx.x; number < tiles; number += gridDim.x) {
    const Index side = number % along * TILE, rest = number / along;
    const Index top = rest % across * TILE;
    const Places at = places(axes, rest / across, 2);
    const Index own = top + threadIdx.x;  // along axis 1, as x lies
    for (int k = threadIdx.y; k < TILE; k += ROWS)
      if (own < axes.size[1] && side + k < axes.size[0])
        tile[k][threadIdx.x] = x[at.from + (side + k) * axes.from[0] + own * axes.from[1]];
    __syncthreads();  // the tile is complete
    const Index other = side + threadIdx.x;  // along axis 0, as y lies
    for (int k = threadIdx.y; k < TILE; k += ROWS)
      if (other < axes.size[0] && top + k < axes.size[1])
        y[at.to + other * axes.to[0] + (top + k) * axes.to[1]] = tile[threadIdx.x][k];
    __syncthreads();  // nobody reads it any more
  }
}
