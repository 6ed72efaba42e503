// Normalisation of items: of rows, of pictures or groups of their channels, of columns.
//
//   y = w (x - m) r + b,   r = (v + eps)^(-1/2)
//   dx = r (g - k2 - (x - m) k3) + dm / n
//   g = w dy,   k2 = mean g,   k3 = r^2 mean(g (x - m)) - 2 dv / (n r)
//
// The variance is that of d = x - m0 for a first mean m0, which the mean of d corrects: no digits
// are lost to a mean that is large beside the differences.
#include "common.cuh"
#include "axes.cuh"

// An item has `segments` of `pixels` that lie together; see kernels/normalized.py.
struct Items {
  Index items, segments, pixels, item_step, step, groups, group_step, weight_step;
  DEVICE Index count() const { return segments * pixels; }
  DEVICE Index segment(Index e) const {
    return pixels == 1 ? e : quotient(e, pixels);
  }
  DEVICE Index start(Index item) const { return item * item_step; }
  // Element e of an item, counted from the item's first.
  DEVICE Index place(Index e) const {
    if (step == pixels) return e;
    const Index s = segment(e);
    return s * step + (e - s * pixels);
  }
  DEVICE Index weights(Index item) const { return item % groups * group_step; }
};

// The threads that have an item: a warp, or a block.
template <bool BLOCK>
struct Team {
  static constexpr int SIZE = BLOCK ? THREADS : WARP;
  DEVICE static Index number() { return first() / SIZE; }
  DEVICE static Index step() { return stride() / SIZE; }
  DEVICE static Index rank() { return threadIdx.x % SIZE; }
  DEVICE static REAL sum(REAL value, REAL* scratch) {
    return BLOCK ? block_sum(value, scratch) : warp_sum(value);
  }
};

DEVICE REAL inverse_root(REAL x) { return REAL(1) / sqrt(x); }

// Without m nothing is subtracted, and v becomes r.
template <bool BLOCK>
DEVICE void standardize(const REAL* x, const REAL* w, const REAL* b, REAL* y, REAL* m, REAL* v,
                        const Items& at, REAL eps, REAL* scratch) {
  typedef Team<BLOCK> T;
  const Index n = at.count();
  for (Index item = T::number(); item < at.items; item += T::step()) {
    const REAL* in = x + at.start(item);
    REAL* out = y + at.start(item);
    REAL mean = 0;
    if (m != nullptr) {
      for (Index e = T::rank(); e < n; e += T::SIZE) mean += in[at.place(e)];
      mean = T::sum(mean, scratch) / REAL(n);
    }
    REAL some = 0, more = 0;
    for (Index e = T::rank(); e < n; e += T::SIZE) {
      const REAL d = in[at.place(e)] - mean;
      some += d;
      more += d * d;
    }
    more = T::sum(more, scratch) / REAL(n);
    REAL r;
    if (m != nullptr) {
      some = T::sum(some, scratch) / REAL(n);
      more -= some * some;
      r = inverse_root(more + eps);
    } else {
      some = 0;
      more = r = inverse_root(more + eps);
    }
    if (T::rank() == 0) {
      if (m != nullptr) m[item] = mean + some;
      v[item] = more;
    }
    const Index weights = at.weights(item);
    for (Index e = T::rank(); e < n; e += T::SIZE) {
      const Index weight = weights + at.segment(e) * at.weight_step;
      REAL value = ((in[at.place(e)] - mean) - some) * r;
      if (w != nullptr) value *= w[weight];
      if (b != nullptr) value += b[weight];
      out[at.place(e)] = value;
    }
  }
}

// dx; and where an item has one weight, dw and db. Any of them may be null, and so may dm and dv.
template <bool BLOCK>
DEVICE void standardize_backward(const REAL* dy, const REAL* dm, const REAL* dv, const REAL* x,
                                 const REAL* w, const REAL* m, const REAL* v, REAL* dx, REAL* dw,
                                 REAL* db, const Items& at, REAL eps, REAL* scratch) {
  typedef Team<BLOCK> T;
  const Index n = at.count();
  const bool each = at.weight_step != 0;
  for (Index item = T::number(); item < at.items; item += T::step()) {
    const Index start = at.start(item), weights = at.weights(item);
    const REAL mean = m == nullptr ? REAL(0) : m[item];
    const REAL r = m == nullptr ? v[item] : inverse_root(v[item] + eps);
    REAL some = 0, along = 0;
    for (Index e = T::rank(); e < n; e += T::SIZE) {
      const Index i = start + at.place(e);
      const REAL g = each && w != nullptr ? dy[i] * w[weights + at.segment(e)] : dy[i];
      some += g;
      along += g * (x[i] - mean);
    }
    some = T::sum(some, scratch);
    along = T::sum(along, scratch);
    const REAL one = each || w == nullptr ? REAL(1) : w[weights];
    if (!each && T::rank() == 0) {
      if (dw != nullptr) dw[weights] = along * r;
      if (db != nullptr) db[weights] = some;
    }
    if (dx == nullptr) continue;
    const REAL k2 = m == nullptr ? REAL(0) : one * some / REAL(n);
    REAL k3 = r * r * (one * along / REAL(n)), add = 0;
    if (dv != nullptr) k3 -= 2 * dv[item] / (REAL(n) * r);
    if (dm != nullptr) add = dm[item] / REAL(n);
    for (Index e = T::rank(); e < n; e += T::SIZE) {
      const Index i = start + at.place(e);
      const REAL weight = each && w != nullptr ? w[weights + at.segment(e)] : one;
      dx[i] = r * (weight * dy[i] - k2 - (x[i] - mean) * k3) + add;
    }
  }
}

// Expands DO(code, name) for each kind of team.
#define TEAMS(DO) DO(false, warps) DO(true, blocks)

#define STANDARDIZE(CODE, NAME)                                                             \
  KERNEL standardize_##NAME(const REAL* x, const REAL* w, const REAL* b, REAL* y, REAL* m,  \
                            REAL* v, Items at, double eps) {                                \
    __shared__ REAL scratch[WARP];                                                          \
    standardize<CODE>(x, w, b, y, m, v, at, REAL(eps), scratch);                            \
  }
TEAMS(STANDARDIZE)

#define STANDARDIZE_BACKWARD(CODE, NAME)                                                    \
  KERNEL standardize_backward_##NAME(const REAL* dy, const REAL* dm, const REAL* dv,        \
                                     const REAL* x, const REAL* w, const REAL* m,           \
                                     const REAL* v, REAL* dx, REAL* dw, REAL* db,           \
                                     Items at, double eps) {                                \
    __shared__ REAL scratch[WARP];                                                          \
    standardize_backward<CODE>(dy, dm, dv, x, w, m, v, dx, dw, db, at, REAL(eps), scratch); \
  }
TEAMS(STANDARDIZE_BACKWARD)

constexpr int LANES_X = 32, LANES_Y = 8;  // the block of the kernels that go down columns

// The sum of what the LANES_Y rows of a block have found for each column, in all of them.
DEVICE REAL column_sum(REAL value, REAL (*sums)[LANES_X + 1]) {
  sums[threadIdx.y][threadIdx.x] = value;
  __syncthreads();
  REAL total = sums[0][threadIdx.x];
  for (int k = 1; k < LANES_Y; ++k) total += sums[k][threadIdx.x];
  __syncthreads();  // nobody reads them any more
  return total;
}

// The same down the columns of a matrix; a block of 32 x 8 threads for 32 columns.
KERNEL standardize_columns(const REAL* x, const REAL* w, const REAL* b, REAL* y, REAL* m, REAL* v,
                           Index rows, Index columns, double eps) {
  __shared__ REAL sums[LANES_Y][LANES_X + 1];
  const Index column = static_cast<Index>(blockIdx.x) * LANES_X + threadIdx.x;
  const Index end = column < columns ? rows : 0;
  REAL mean = 0, some = 0, more = 0;
  for (Index row = threadIdx.y; row < end; row += LANES_Y) mean += x[row * columns + column];
  mean = column_sum(mean, sums) / REAL(rows);
  for (Index row = threadIdx.y; row < end; row += LANES_Y) {
    const REAL d = x[row * columns + column] - mean;
    some += d;
    more += d * d;
  }
  some = column_sum(some, sums) / REAL(rows);
  more = column_sum(more, sums) / REAL(rows) - some * some;
  if (end == 0) return;
  if (threadIdx.y == 0) m[column] = mean + some, v[column] = more;
  const REAL scale = inverse_root(more + REAL(eps)) * (w == nullptr ? REAL(1) : w[column]);
  const REAL shift = b == nullptr ? REAL(0) : b[column];
  for (Index row = threadIdx.y; row < end; row += LANES_Y)
    y[row * columns + column] = ((x[row * columns + column] - mean) - some) * scale + shift;
}

KERNEL standardize_columns_backward(const REAL* dy, const REAL* dm, const REAL* dv, const REAL* x,
                                    const REAL* w, const REAL* m, const REAL* v, REAL* dx,
                                    REAL* dw, REAL* db, Index rows, Index columns, double eps) {
  __shared__ REAL sums[LANES_Y][LANES_X + 1];
  const Index column = static_cast<Index>(blockIdx.x) * LANES_X + threadIdx.x;
  const Index end = column < columns ? rows : 0;
  const REAL mean = end == 0 ? REAL(0) : m[column];
  REAL some = 0, along = 0;
  for (Index row = threadIdx.y; row < end; row += LANES_Y) {
    const Index i = row * columns + column;
    some += dy[i];
    along += dy[i] * (x[i] - mean);
  }
  some = column_sum(some, sums);
  along = column_sum(along, sums);
  if (end == 0) return;
  const REAL r = inverse_root(v[column] + REAL(eps)), n = REAL(rows);
  const REAL weight = w == nullptr ? REAL(1) : w[column];
  if (threadIdx.y == 0) {
    if (dw != nullptr) dw[column] = along * r;
    if (db != nullptr) db[column] = some;
  }
  if (dx == nullptr) return;
  REAL k3 = r * r * (weight * along / n);
  if (dv != nullptr) k3 -= 2 * dv[column] / (n * r);
  const REAL add = dm == nullptr ? REAL(0) : dm[column] / n;
  for (Index row = threadIdx.y; row < end; row += LANES_Y) {
    const Index i = row * columns + column;
    dx[i] = r * (weight * (dy[i] - some / n) - (x[i] - mean) * k3) + add;
  }
}

// What dw = sum dy (x - m) r and db = sum dy are taken over: entry (o, w, p) of x, and where its
// mean and variance are. `stripe` is how many o go together.
struct Sums {
  Index outer, weights, pixels, outer_stat, per, stripe, unused0, unused1;
  DEVICE Index stat(Index o, Index weight) const { return o * outer_stat + weight / per; }
};

DEVICE REAL normalized(REAL x, const REAL* m, const REAL* v, Index stat, REAL eps) {
  return m == nullptr ? x * v[stat] : (x - m[stat]) * inverse_root(v[stat] + eps);
}

// A row of partial_w and one of partial_b for each stripe (y), where a weight has one pixel; a block
// of 32 x 8 threads for 32 weights (x). Either may be null.
KERNEL weight_sums_of_columns(const REAL* dy, const REAL* x, const REAL* m, const REAL* v,
                              double* partial_w, double* partial_b, Sums at, double eps) {
  __shared__ REAL sums[LANES_Y][LANES_X + 1];
  const Index weight = static_cast<Index>(blockIdx.x) * LANES_X + threadIdx.x;
  const Index begin = blockIdx.y * at.stripe;
  const Index end = begin + at.stripe < at.outer ? begin + at.stripe : at.outer;
  const bool inside = weight < at.weights;
  REAL along = 0, some = 0;
  for (Index o = begin + threadIdx.y; inside && o < end; o += LANES_Y) {
    const REAL d = dy[o * at.weights + weight];
    some += d;
    if (partial_w != nullptr)
      along += d * normalized(x[o * at.weights + weight], m, v, at.stat(o, weight), REAL(eps));
  }
  along = column_sum(along, sums);
  some = column_sum(some, sums);
  if (!inside || threadIdx.y != 0) return;
  const Index place = blockIdx.y * at.weights + weight;
  if (partial_w != nullptr) partial_w[place] = static_cast<double>(along);
  if (partial_b != nullptr) partial_b[place] = static_cast<double>(some);
}

// The same where a weight has several pixels: a block for each weight (x) and stripe (y).
KERNEL weight_sums_of_pixels(const REAL* dy, const REAL* x, const REAL* m, const REAL* v,
                             double* partial_w, double* partial_b, Sums at, double eps) {
  __shared__ REAL scratch[WARP];
  const Index begin = blockIdx.y * at.stripe;
  const Index end = begin + at.stripe < at.outer ? begin + at.stripe : at.outer;
  for (Index weight = blockIdx.x; weight < at.weights; weight += gridDim.x) {
    REAL along = 0, some = 0;
    for (Index e = threadIdx.x; e < (end - begin) * at.pixels; e += THREADS) {
      const Index o = begin + quotient(e, at.pixels), p = e - (o - begin) * at.pixels;
      const Index i = (o * at.weights + weight) * at.pixels + p;
      some += dy[i];
      if (partial_w != nullptr)
        along += dy[i] * normalized(x[i], m, v, at.stat(o, weight), REAL(eps));
    }
    along = block_sum(along, scratch);
    some = block_sum(some, scratch);
    if (threadIdx.x == 0) {
      const Index place = blockIdx.y * at.weights + weight;
      if (partial_w != nullptr) partial_w[place] = static_cast<double>(along);
      if (partial_b != nullptr) partial_b[place] = static_cast<double>(some);
    }
  }
}

// y = w (x - m) (v + eps)^(-1/2) + b by channels, of `pixels` each; without m it is w x (...)
KERNEL scale_channels(const REAL* x, const REAL* m, const REAL* v, const REAL* w, const REAL* b,
                      REAL* y, Index n, Index channels, Index pixels, double eps) {
  for (Index i = first(); i < n; i += stride()) {
    const Index plane = quotient(i, pixels), c = plane - quotient(plane, channels) * channels;
    REAL value = m == nullptr ? x[i] : x[i] - m[c];
    value *= inverse_root(v[c] + REAL(eps)) * (w == nullptr ? REAL(1) : w[c]);
    y[i] = b == nullptr ? value : value + b[c];
  }
}

// mean and var follow m and v, averages over pictures; a count that is there grows by 1.
KERNEL running_statistics(REAL* mean, REAL* var, Index* count, const REAL* m, const REAL* v,
                          Index channels, Index pictures, Number momentum, Number correction) {
  const REAL part = REAL(momentum()), kept = REAL(1 - momentum());
  for (Index c = first(); c < channels; c += stride()) {
    double some = 0, more = 0;
    for (Index i = 0; i < pictures; ++i) {
      some += static_cast<double>(m[i * channels + c]);
      more += static_cast<double>(v[i * channels + c]);
    }
    mean[c] = kept * mean[c] + part * REAL(some / static_cast<double>(pictures));
    var[c] = kept * var[c] + part * REAL(correction() * more / static_cast<double>(pictures));
  }
  if (first() == 0 && count != nullptr) count[0] += 1;
}
