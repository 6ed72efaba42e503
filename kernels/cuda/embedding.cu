// Rows of a table that indices pick, their sums in bags, and the sums of gradients by index.
//
// No two threads add to one row: the numbers of the entries are sorted by their index, and a block
// adds up what came from one index. Keys are unique, so every sum has one order.
#include "common.cuh"
#include "axes.cuh"

// y[k] = w[i[k]], NaN where there is no such row; partial[block] = how many indices have none
KERNEL pick_rows(const REAL* w, const Index* i, REAL* y, Index* partial, Index rows, Index columns,
                 Index count) {
  __shared__ Index scratch[WARP];
  Index bad = 0;
  for (Index e = first(); e < count * columns; e += stride()) {
    const Index k = quotient(e, columns), c = e - k * columns, row = i[k];
    const bool there = row >= 0 && row < rows;
    bad += !there && c == 0;
    y[e] = there ? w[row * columns + c] : REAL(0) / (w[0] - w[0]);
  }
  bad = block_sum(bad, scratch);
  if (threadIdx.x == 0) partial[blockIdx.x] = bad;
}

// bad[0] = the sum of what blocks have found, unless it is 0; one block
KERNEL report_bad(const Index* partial, Index* bad, Index blocks) {
  __shared__ Index scratch[WARP];
  Index sum = 0;
  for (Index k = threadIdx.x; k < blocks; k += THREADS) sum += partial[k];
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0 && sum > 0) bad[0] = sum;
}

// Where bag b begins, and where the next one does: every `length` entries, or as offsets say.
DEVICE Index bag_start(const Index* offsets, Index b, Index many, Index length, Index count) {
  if (offsets == nullptr) return b * length;
  const Index start = b < many ? offsets[b] : count;
  return start < 0 ? 0 : start > count ? count : start;
}

// bags[k] = the bag of entry k; partial[block] = how many indices and offsets are out of range
KERNEL bags_of_entries(const Index* i, const Index* offsets, Index* bags, Index* partial,
                       Index rows, Index count, Index many, Index length) {
  __shared__ Index scratch[WARP];
  Index bad = 0;
  for (Index k = first(); k < count; k += stride()) {
    bad += i[k] < 0 || i[k] >= rows;
    Index low = 0, high = many;  // the last bag that begins at k or before
    while (high - low > 1) {
      const Index middle = (low + high) / 2;
      (bag_start(offsets, middle, many, length, count) <= k ? low : high) = middle;
    }
    bags[k] = low;
  }
  if (offsets != nullptr)
    for (Index b = first(); b < many; b += stride()) {
      const Index before = b == 0 ? 0 : offsets[b - 1];
      bad += offsets[b] < before || offsets[b] > count || (b == 0 && offsets[b] != 0);
    }
  bad = block_sum(bad, scratch);
  if (threadIdx.x == 0) partial[blockIdx.x] = bad;
}

// y[b] = the sum of s[k] w[i[k]] over a bag, or their mean; sizes[b] = how many entries count
KERNEL sum_bags(const REAL* w, const Index* i, const Index* offsets, const REAL* s, REAL* y,
                Index* sizes, Index rows, Index columns, Index count, Index many, Index length,
                Index padding, int mean) {
  for (Index e = first(); e < many * columns; e += stride()) {
    const Index b = quotient(e, columns), c = e - b * columns;
    const Index end = bag_start(offsets, b + 1, many, length, count);
    Index size = 0;
    REAL sum = 0;
    for (Index k = bag_start(offsets, b, many, length, count); k < end; ++k) {
      const Index row = i[k];
      if (row == padding) continue;
      ++size;
      const bool there = row >= 0 && row < rows;
      const REAL value = there ? w[row * columns + c] : REAL(0) / (w[0] - w[0]);
      sum += s == nullptr ? value : s[k] * value;
    }
    y[e] = mean && size > 0 ? sum / REAL(size) : sum;
    if (c == 0) sizes[b] = size;
  }
}

constexpr int RUN = 512;  // keys that a block sorts in shared memory
constexpr Counter LAST = ~Counter(0);

// keys[k] = index and number of entry k; what has no row, or the padding's, goes behind the others
KERNEL make_keys(const Index* i, Counter* keys, Index rows, Index count, Index padded,
                 Index padding) {
  for (Index k = first(); k < padded; k += stride()) {
    const Index row = k < count ? i[k] : -1;
    keys[k] = row >= 0 && row < rows && row != padding ? Counter(row) << 32 | Counter(k) : LAST;
  }
}

DEVICE void order(Counter& low, Counter& high, bool rising) {
  const Counter a = low, b = high;
  if ((a > b) == rising) low = b, high = a;
}

// Steps of a bitonic sort (Batcher 1968) within runs that a block has in shared memory: those of
// `size` from `step` on, and all of the larger sizes up to `last`.
KERNEL sort_runs(Counter* keys, Index padded, Index size, Index step, Index last) {
  __shared__ Counter run[RUN];
  for (Index start = static_cast<Index>(blockIdx.x) * RUN; start < padded;
       start += static_cast<Index>(gridDim.x) * RUN) {
    for (int k = threadIdx.x; k < RUN; k += THREADS) run[k] = keys[start + k];
    __syncthreads();  // the run is there
    for (Index many = size; many <= last; many *= 2) {
      for (Index apart = many == size ? step : many / 2; apart > 0; apart /= 2) {
        const Index low = 2 * threadIdx.x - threadIdx.x % apart;
        order(run[low], run[low + apart], ((start + low) & many) == 0);
        __syncthreads();  // the step is done
      }
    }
    for (int k = threadIdx.x; k < RUN; k += THREADS) keys[start + k] = run[k];
    __syncthreads();  // nobody reads the run any more
  }
}

// One step of it between keys that are further apart.
KERNEL sort_step(Counter* keys, Index padded, Index size, Index step) {
  for (Index t = first(); t < padded / 2; t += stride()) {
    const Index low = 2 * t - (t & (step - 1));
    order(keys[low], keys[low + step], (low & size) == 0);
  }
}

constexpr int LANES_X = 32, LANES_Y = 8;

DEVICE Index row_of(const Counter* keys, Index k) { return static_cast<Index>(keys[k] >> 32); }

// dw[r] = the sum of the rows of g by index r, in the order of the keys; other rows are left as they
// are. Entry k has row k of g, or that of its bag, times s[k], divided by the size of its bag, and
// by frequency by how often r was picked. A block of 32 x 8 threads for each key (x) that is the
// first of its index, and 32 columns (y).
KERNEL add_rows_by_index(const Counter* keys, const REAL* g, const Index* bags, const REAL* s,
                         const Index* sizes, REAL* dw, Index columns, Index count,
                         int by_frequency) {
  __shared__ REAL sums[LANES_Y][LANES_X + 1];
  __shared__ Index counts[LANES_Y];
  const Index column = static_cast<Index>(blockIdx.y) * LANES_X + threadIdx.x;
  for (Index begin = blockIdx.x; begin < count; begin += gridDim.x) {
    const Index row = row_of(keys, begin);
    if (keys[begin] == LAST || (begin > 0 && row_of(keys, begin - 1) == row)) continue;
    REAL sum = 0;
    Index many = 0;
    for (Index k = begin + threadIdx.y; k < count && row_of(keys, k) == row; k += LANES_Y) {
      const Index entry = static_cast<Index>(keys[k] & 0xffffffffu);
      const Index from = bags == nullptr ? entry : bags[entry];
      REAL value = column < columns ? g[from * columns + column] : REAL(0);
      if (s != nullptr) value *= s[entry];
      if (sizes != nullptr && sizes[from] > 0) value /= REAL(sizes[from]);
      sum += value;
      ++many;
    }
    sums[threadIdx.y][threadIdx.x] = sum;
    if (threadIdx.x == 0) counts[threadIdx.y] = many;
    __syncthreads();  // all sums are there
    if (threadIdx.y == 0 && column < columns) {
      REAL total = sums[0][threadIdx.x];
      Index all = counts[0];
      for (int k = 1; k < LANES_Y; ++k) total += sums[k][threadIdx.x], all += counts[k];
      dw[row * columns + column] = by_frequency ? total / REAL(all) : total;
    }
    __syncthreads();  // nobody reads them any more
  }
}

// ds[k] = w[i[k]] . dy of the bag of entry k, 0 for the padding; a warp for each
KERNEL bag_weights_backward(const REAL* w, const REAL* dy, const Index* i, const Index* bags,
                            REAL* ds, Index rows, Index columns, Index count, Index padding) {
  for (Index k = first() / WARP; k < count; k += stride() / WARP) {
    const Index row = i[k];
    const bool there = row >= 0 && row < rows && row != padding;
    REAL sum = 0;
    for (Index c = threadIdx.x % WARP; there && c < columns; c += WARP)
      sum += w[row * columns + c] * dy[bags[k] * columns + c];
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0) ds[k] = sum;
  }
}
