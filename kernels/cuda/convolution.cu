// Convolution of up to three axes and its two derivatives, as products that never lay out windows.
//
//   FORWARD   y[n, o, i]  = sum over c, k of w[o, c, k] x[n, c, s i + d k - p]
//   SPREAD    dx[n, c, j] = sum over o, k of w[o, c, k] dy[n, o, i] where s i + d k - p = j
//   WEIGHTS   dw[o, c, k] = sum over n, i of dy[n, o, i] x[n, c, s i + d k - p]
//
// Each is a product out[m, n] = sum over k of a[m, k] b[k, n] for every group of channels, in which
// b is read from where an image has it: how far into the memory and along each axis is a sum of two
// parts, one that follows from k and one from n.
#include "common.cuh"
#include "axes.cuh"

enum Form { FORWARD, SPREAD, WEIGHTS };

// Sizes of one group; see formulas/windows.py. Of one or two axes the first ones have size 1.
struct Windows {
  Index images, groups, channels, outputs;
  Index size[3], count[3], kernel[3], stride[3], dilation[3], before[3];
  DEVICE Index pixels() const { return size[0] * size[1] * size[2]; }
  DEVICE Index places() const { return count[0] * count[1] * count[2]; }
  DEVICE Index taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  // Numbers of an image of all groups, before and behind.
  DEVICE Index image() const { return groups * channels * pixels(); }
  DEVICE Index result() const { return groups * outputs * places(); }
};

// How far a term or a column is into a and b, and along the axes of b.
struct Where {
  Index a, b;
  int at[3];
};

template <Form F>
DEVICE Index rows_of(const Windows& w) {
  return F == SPREAD ? w.channels : w.outputs;
}
template <Form F>
DEVICE Index columns_of(const Windows& w) {
  return F == FORWARD  ? w.images * w.places()
         : F == SPREAD ? w.images * w.pixels()
                       : w.channels * w.taps();
}
template <Form F>
DEVICE Index terms_of(const Windows& w) {
  return F == FORWARD  ? w.channels * w.taps()
         : F == SPREAD ? w.outputs * w.taps()
                       : w.images * w.places();
}
// From one row of a to the next, and from one group to the next.
template <Form F>
DEVICE Index a_row(const Windows& w) {
  return F == FORWARD ? w.channels * w.taps() : F == SPREAD ? w.taps() : w.places();
}
template <Form F>
DEVICE Index a_group(const Windows& w) {
  return w.outputs * (F == WEIGHTS ? w.places() : w.channels * w.taps());
}
template <Form F>
DEVICE Index b_group(const Windows& w) {
  return F == SPREAD ? w.outputs * w.places() : w.channels * w.pixels();
}

template <Form F>
DEVICE Where term(const Windows& w, Index k) {
  const Spot spot(k, F == WEIGHTS ? w.count : w.kernel);
  Where found;
  found.a = F == FORWARD  ? k
            : F == SPREAD ? spot.plane * w.channels * w.taps() + (k - spot.plane * w.taps())
                          : spot.plane * w.result() + (k - spot.plane * w.places());
  found.b = spot.plane * (F == FORWARD ? w.pixels() : F == SPREAD ? w.places() : w.image());
  for (int d = 0; d < 3; ++d)
    found.at[d] = int(F == FORWARD  ? spot.at[d] * w.dilation[d]
                      : F == SPREAD ? -spot.at[d] * w.dilation[d]
                                    : spot.at[d] * w.stride[d] - w.before[d]);
  return found;
}

template <Form F>
DEVICE Where column(const Windows& w, Index n) {
  const Spot spot(n, F == FORWARD ? w.count : F == SPREAD ? w.size : w.kernel);
  Where found;
  found.a = 0;
  found.b = spot.plane * (F == FORWARD ? w.image() : F == SPREAD ? w.result() : w.pixels());
  for (int d = 0; d < 3; ++d)
    found.at[d] = int(F == FORWARD  ? spot.at[d] * w.stride[d] - w.before[d]
                      : F == SPREAD ? spot.at[d] + w.before[d]
                                    : spot.at[d] * w.dilation[d]);
  return found;
}

// The entry of b, 0 where there is none.
template <Form F>
DEVICE REAL entry(const Windows& w, const REAL* b, const Where& k, const Where& n) {
  Index place = 0;
  bool inside = true;
  for (int d = 0; d < 3; ++d) {
    int at = k.at[d] + n.at[d];
    const int size = int(F == SPREAD ? w.count[d] : w.size[d]);
    if (F == SPREAD && w.stride[d] > 1) {
      const int step = int(w.stride[d]), divided = at / step;
      inside = inside && divided * step == at;
      at = divided;
    }
    inside = inside && at >= 0 && at < size;
    place = place * size + at;
  }
  return inside ? b[k.b + n.b + place] : REAL(0);
}

// Where row m of column n goes in an array of all images.
template <Form F>
DEVICE Index goal(const Windows& w, Index group, Index m, Index n) {
  if (F == WEIGHTS) return (group * w.outputs + m) * columns_of<F>(w) + n;
  const Index size = F == FORWARD ? w.places() : w.pixels();
  const Index image = quotient(n, size), rows = rows_of<F>(w);
  return ((image * w.groups + group) * rows + m) * size + (n - image * size);
}

constexpr int DEPTH = 16, ACROSS = 64, SIDE = 16;

// out[m, n] in tiles of 16 DOWN rows and 64 columns, one for each block: its 256 threads have DOWN x 4
// entries each. `stripe` terms are summed by the blocks of one blockIdx.z, the groups are numbered by
// blockIdx.y. Where each term of a tile is stands in shared memory too, found by one thread each.
template <Form F, int DOWN, class Store>
DEVICE void multiply(const REAL* a, const REAL* b, const Windows& w, Index stripe,
                     REAL (*left)[SIDE * DOWN + 1], REAL (*right)[ACROSS], Where* terms,
                     Store store) {
  constexpr int HIGH = SIDE * DOWN;
  const Index rows = rows_of<F>(w), columns = columns_of<F>(w), all = terms_of<F>(w);
  const Index across = (columns + ACROSS - 1) / ACROSS, group = blockIdx.y;
  const Index top = blockIdx.x / across * HIGH, side = blockIdx.x % across * ACROSS;
  const Index begin = blockIdx.z * stripe, end = begin + stripe < all ? begin + stripe : all;
  const int me = threadIdx.x, tx = me % SIDE, ty = me / SIDE;
  a += group * a_group<F>(w);
  b += group * b_group<F>(w);
  const Index own = side + me % ACROSS;  // the column that this thread copies
  const Where mine = column<F>(w, own < columns ? own : 0);
  REAL sums[DOWN][4] = {};
  for (Index start = begin; start < end; start += DEPTH) {
    if (me < DEPTH) terms[me] = term<F>(w, start + me < end ? start + me : begin);
    __syncthreads();  // it is known where the terms are
    for (int pass = 0; pass < DOWN; ++pass) {
      const Index m = top + ty + SIDE * pass;
      const bool inside = m < rows && start + tx < end;
      left[tx][ty + SIDE * pass] = inside ? a[m * a_row<F>(w) + terms[tx].a] : REAL(0);
    }
    for (int k = me / ACROSS; k < DEPTH; k += THREADS / ACROSS) {
      const bool inside = own < columns && start + k < end;
      right[k][me % ACROSS] = inside ? entry<F>(w, b, terms[k], mine) : REAL(0);
    }
    __syncthreads();  // the tiles are complete
    for (int k = 0; k < DEPTH; ++k)
      for (int i = 0; i < DOWN; ++i)
        for (int j = 0; j < 4; ++j)
          sums[i][j] += left[k][ty + SIDE * i] * right[k][tx + SIDE * j];
    __syncthreads();  // nobody reads them any more
  }
  for (int i = 0; i < DOWN; ++i)
    for (int j = 0; j < 4; ++j) {
      const Index m = top + ty + SIDE * i, n = side + tx + SIDE * j;
      if (m < rows && n < columns) store(group, m, goal<F>(w, group, m, n), sums[i][j]);
    }
}

// Expands DO(code, name) for tiles of 64 rows and of 16.
#define TILES(DO) DO(4, high) DO(1, low)

#define SHARED(CODE)                                                                        \
  __shared__ REAL left[DEPTH][SIDE * CODE + 1], right[DEPTH][ACROSS];                       \
  __shared__ Where terms[DEPTH]

#define CONVOLVE(CODE, NAME)                                                                \
  KERNEL convolve_##NAME(const REAL* w, const REAL* x, const REAL* bias, REAL* y,           \
                         Windows at) {                                                      \
    SHARED(CODE);                                                                           \
    multiply<FORWARD, CODE>(w, x, at, terms_of<FORWARD>(at), left, right, terms,            \
                            [=](Index group, Index m, Index goal, REAL sum) {               \
      y[goal] = bias == nullptr ? sum : sum + bias[group * at.outputs + m];                 \
    });                                                                                     \
  }
TILES(CONVOLVE)

#define SPREAD_OUT(CODE, NAME)                                                              \
  KERNEL spread_##NAME(const REAL* w, const REAL* dy, const REAL* bias, REAL* dx,           \
                       Windows at) {                                                        \
    SHARED(CODE);                                                                           \
    multiply<SPREAD, CODE>(w, dy, at, terms_of<SPREAD>(at), left, right, terms,             \
                           [=](Index group, Index m, Index goal, REAL sum) {                \
      dx[goal] = bias == nullptr ? sum : sum + bias[group * at.channels + m];               \
    });                                                                                     \
  }
TILES(SPREAD_OUT)

// One dw in `partial` for each stripe of terms.
#define WEIGHT_SUMS(CODE, NAME)                                                             \
  KERNEL weights_##NAME(const REAL* dy, const REAL* x, double* partial, Windows at,         \
                        Index stripe) {                                                     \
    SHARED(CODE);                                                                           \
    const Index whole = at.groups * at.outputs * at.channels * at.taps();                   \
    multiply<WEIGHTS, CODE>(dy, x, at, stripe, left, right, terms,                          \
                            [=](Index, Index, Index goal, REAL sum) {                       \
      partial[blockIdx.z * whole + goal] = static_cast<double>(sum);                        \
    });                                                                                     \
  }
TILES(WEIGHT_SUMS)

// The same for groups of few channels, of which no tile would be full: a thread for each entry.
template <Form F>
DEVICE void direct(const REAL* w, const REAL* b, const REAL* bias, REAL* out, const Windows& at) {
  const Index rows = rows_of<F>(at), size = F == FORWARD ? at.places() : at.pixels();
  const Index lead = F == FORWARD ? at.channels : at.outputs, all = at.images * at.groups * rows * size;
  for (Index i = first(); i < all; i += stride()) {
    const Index plane = quotient(i, size), image = quotient(plane, at.groups * rows);
    const Index channel = plane - image * at.groups * rows;
    const Index group = quotient(channel, rows), m = channel - group * rows;
    const Where mine = column<F>(at, image * size + (i - plane * size));
    const REAL* weights = w + group * a_group<F>(at) + m * a_row<F>(at);
    const REAL* from = b + group * b_group<F>(at);
    REAL sum = 0;
    for (Index c = 0; c < lead; ++c) {
      Where k;
      k.b = c * (F == FORWARD ? at.pixels() : at.places());
      const REAL* weight = weights + c * (F == FORWARD ? at.taps() : at.channels * at.taps());
      const int sign = F == FORWARD ? 1 : -1;
      for (int z = 0; z < int(at.kernel[0]); ++z)
        for (int y = 0; y < int(at.kernel[1]); ++y)
          for (int x = 0; x < int(at.kernel[2]); ++x) {
            k.at[0] = sign * z * int(at.dilation[0]);
            k.at[1] = sign * y * int(at.dilation[1]);
            k.at[2] = sign * x * int(at.dilation[2]);
            sum += *weight++ * entry<F>(at, from, k, mine);
          }
    }
    out[i] = bias == nullptr ? sum : sum + bias[channel];
  }
}

KERNEL convolve_direct(const REAL* w, const REAL* x, const REAL* bias, REAL* y, Windows at) {
  direct<FORWARD>(w, x, bias, y, at);
}
KERNEL spread_direct(const REAL* w, const REAL* dy, const REAL* bias, REAL* dx, Windows at) {
  direct<SPREAD>(w, dy, bias, dx, at);
}

// A block for each weight (x), and each stripe of terms (y).
KERNEL weights_direct(const REAL* dy, const REAL* x, double* partial, Windows at, Index stripe) {
  __shared__ REAL scratch[WARP];
  const Index columns = columns_of<WEIGHTS>(at), whole = at.groups * at.outputs * columns;
  const Index all = terms_of<WEIGHTS>(at), begin = blockIdx.y * stripe;
  const Index end = begin + stripe < all ? begin + stripe : all;
  for (Index weight = blockIdx.x; weight < whole; weight += gridDim.x) {
    const Index row = quotient(weight, columns), group = quotient(row, at.outputs);
    const Where mine = column<WEIGHTS>(at, weight - row * columns);
    const REAL* a = dy + row * at.places();
    const REAL* b = x + group * b_group<WEIGHTS>(at);
    REAL sum = 0;
    for (Index k = begin + threadIdx.x; k < end; k += THREADS) {
      const Where here = term<WEIGHTS>(at, k);
      sum += a[here.a] * entry<WEIGHTS>(at, b, here, mine);
    }
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) partial[blockIdx.y * whole + weight] = static_cast<double>(sum);
  }
}
