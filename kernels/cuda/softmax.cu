// Softmax, its logarithm, and softmax with cross-entropy behind it; a warp for each row.
#include "common.cuh"

DEVICE int lane() { return threadIdx.x % WARP; }
DEVICE Index first_row() { return first() / WARP; }
DEVICE Index row_stride() { return stride() / WARP; }

// The largest entry of a row, NaN only if nothing else is there.
DEVICE REAL row_max(const REAL* x, Index columns) {
  REAL most = x[0];
  for (Index c = lane(); c < columns; c += WARP) most = x[c] > most || most != most ? x[c] : most;
  return warp_max(most);
}

// The sum of e^(x - most) over a row.
DEVICE REAL row_total(const REAL* x, Index columns, REAL most) {
  REAL sum = 0;
  for (Index c = lane(); c < columns; c += WARP) sum += exp(x[c] - most);
  return warp_sum(sum);
}

// y = e^x / sum of e^x
KERNEL softmax(const REAL* x, REAL* y, Index rows, Index columns) {
  for (Index row = first_row(); row < rows; row += row_stride()) {
    const REAL* in = x + row * columns;
    const REAL most = row_max(in, columns), total = row_total(in, columns, most);
    for (Index c = lane(); c < columns; c += WARP)
      y[row * columns + c] = exp(in[c] - most) / total;
  }
}

// y = x - log of the sum of e^x
KERNEL log_softmax(const REAL* x, REAL* y, Index rows, Index columns) {
  for (Index row = first_row(); row < rows; row += row_stride()) {
    const REAL* in = x + row * columns;
    const REAL most = row_max(in, columns), total = log(row_total(in, columns, most));
    for (Index c = lane(); c < columns; c += WARP) y[row * columns + c] = in[c] - most - total;
  }
}

// dx = y (dy - sum of dy y)
KERNEL softmax_backward(const REAL* dy, const REAL* y, REAL* dx, Index rows, Index columns) {
  for (Index row = first_row(); row < rows; row += row_stride()) {
    const Index start = row * columns;
    REAL sum = 0;
    for (Index c = lane(); c < columns; c += WARP) sum += dy[start + c] * y[start + c];
    sum = warp_sum(sum);
    for (Index c = lane(); c < columns; c += WARP)
      dx[start + c] = y[start + c] * (dy[start + c] - sum);
  }
}

// dx = dy - e^y sum of dy
KERNEL log_softmax_backward(const REAL* dy, const REAL* y, REAL* dx, Index rows, Index columns) {
  for (Index row = first_row(); row < rows; row += row_stride()) {
    const Index start = row * columns;
    REAL sum = 0;
    for (Index c = lane(); c < columns; c += WARP) sum += dy[start + c];
    sum = warp_sum(sum);
    for (Index c = lane(); c < columns; c += WARP)
      dx[start + c] = dy[start + c] - exp(y[start + c]) * sum;
  }
}

// The same along an axis with `inner` entries behind it: neighbouring threads go along neighbouring
// lines, whose entries are `inner` apart.
struct Line {
  Index start, step;
  DEVICE Line(Index i, Index length, Index inner)
      : start(i / inner * length * inner + i % inner), step(inner) {}
  DEVICE Index operator[](Index c) const { return start + c * step; }
};

template <bool LOGARITHM>
DEVICE void softmax_of_lines(const REAL* x, REAL* y, Index lines, Index length, Index inner) {
  for (Index i = first(); i < lines; i += stride()) {
    const Line at(i, length, inner);
    REAL most = x[at[0]], total = 0;
    for (Index c = 1; c < length; ++c)
      most = x[at[c]] > most || most != most ? x[at[c]] : most;
    for (Index c = 0; c < length; ++c) total += exp(x[at[c]] - most);
    const REAL log_total = LOGARITHM ? log(total) : REAL(0);
    for (Index c = 0; c < length; ++c) {
      const REAL shifted = x[at[c]] - most;
      y[at[c]] = LOGARITHM ? shifted - log_total : exp(shifted) / total;
    }
  }
}

template <bool LOGARITHM>
DEVICE void softmax_of_lines_backward(const REAL* dy, const REAL* y, REAL* dx, Index lines,
                                      Index length, Index inner) {
  for (Index i = first(); i < lines; i += stride()) {
    const Line at(i, length, inner);
    REAL sum = 0;
    for (Index c = 0; c < length; ++c) sum += LOGARITHM ? dy[at[c]] : dy[at[c]] * y[at[c]];
    for (Index c = 0; c < length; ++c)
      dx[at[c]] = LOGARITHM ? dy[at[c]] - exp(y[at[c]]) * sum : y[at[c]] * (dy[at[c]] - sum);
  }
}

KERNEL softmax_lines(const REAL* x, REAL* y, Index lines, Index length, Index inner) {
  softmax_of_lines<false>(x, y, lines, length, inner);
}
KERNEL log_softmax_lines(const REAL* x, REAL* y, Index lines, Index length, Index inner) {
  softmax_of_lines<true>(x, y, lines, length, inner);
}
KERNEL softmax_lines_backward(const REAL* dy, const REAL* y, REAL* dx, Index lines, Index length,
                              Index inner) {
  softmax_of_lines_backward<false>(dy, y, dx, lines, length, inner);
}
KERNEL log_softmax_lines_backward(const REAL* dy, const REAL* y, REAL* dx, Index lines,
                                  Index length, Index inner) {
  softmax_of_lines_backward<true>(dy, y, dx, lines, length, inner);
}

// probabilities = softmax z, and the loss of each row: (1 - s) w_t nll + s / C sum of w_c nll_c, 0
// where the label is `ignored`. `losses` and `partial` may be null. `partial` gets three sums for
// each block: of losses, of the weights of their labels, and of labels that are out of range,
// whose loss is NaN.
KERNEL cross_entropy(const REAL* z, const Index* labels, const REAL* w, REAL* probabilities,
                     REAL* losses, double* partial, Index rows, Index columns, Index ignored,
                     double smoothing) {
  __shared__ double scratch[WARP];
  double loss_sum = 0, weight_sum = 0, bad_sum = 0;
  for (Index row = first_row(); row < rows; row += row_stride()) {
    const REAL* in = z + row * columns;
    REAL* out = probabilities + row * columns;
    const Index label = labels[row];
    const bool valid = label != ignored, bad = valid && (label < 0 || label >= columns);
    const REAL most = row_max(in, columns), total = row_total(in, columns, most);
    const REAL log_total = log(total);
    REAL smooth = 0;
    for (Index c = lane(); c < columns; c += WARP) {
      const REAL shifted = in[c] - most;
      out[c] = exp(shifted) / total;
      if (smoothing != 0) smooth += (w == nullptr ? REAL(1) : w[c]) * (shifted - log_total);
    }
    REAL loss = 0, weight = 0;
    if (valid && !bad) {
      weight = w == nullptr ? REAL(1) : w[label];
      loss = -weight * (in[label] - most - log_total);
    }
    if (smoothing != 0) {  // the same for the whole launch, so all lanes come here
      smooth = warp_sum(smooth);
      if (valid) loss = REAL(1 - smoothing) * loss - REAL(smoothing / columns) * smooth;
    }
    if (bad) loss = REAL(0) / (total - total);  // NaN
    if (lane() == 0) {
      if (losses != nullptr) losses[row] = loss;
      loss_sum += static_cast<double>(loss);
      weight_sum += static_cast<double>(weight);
      bad_sum += bad;
    }
  }
  loss_sum = block_sum(loss_sum, scratch);
  weight_sum = block_sum(weight_sum, scratch);
  bad_sum = block_sum(bad_sum, scratch);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = loss_sum;
    partial[gridDim.x + blockIdx.x] = weight_sum;
    partial[2 * gridDim.x + blockIdx.x] = bad_sum;
  }
}

// loss[0] = the sum of losses, divided if `total` is not null by the sum of weights, which goes
// there; both may be null. bad[0] = how many labels are out of range, unless there are none. One
// block.
KERNEL cross_entropy_finish(const double* partial, REAL* loss, REAL* total, Index* bad,
                            Index blocks) {
  __shared__ double scratch[WARP];
  double loss_sum = 0, weight_sum = 0, bad_sum = 0;
  for (Index i = threadIdx.x; i < blocks; i += THREADS) {
    loss_sum += partial[i];
    weight_sum += partial[blocks + i];
    bad_sum += partial[2 * blocks + i];
  }
  loss_sum = block_sum(loss_sum, scratch);
  weight_sum = block_sum(weight_sum, scratch);
  bad_sum = block_sum(bad_sum, scratch);
  if (threadIdx.x == 0) {
    if (total != nullptr) total[0] = REAL(weight_sum);
    if (loss != nullptr) loss[0] = REAL(total == nullptr ? loss_sum : loss_sum / weight_sum);
    if (bad_sum > 0) bad[0] = static_cast<Index>(bad_sum);
  }
}

// dz_c = g / total (p_c sum of q - q_c), q_c = (1 - s) w_t [c = t] + s / C w_c; 0 where ignored.
// g[row g_step] is the upstream gradient; total may be null.
KERNEL cross_entropy_backward(const REAL* probabilities, const Index* labels, const REAL* w,
                              const REAL* total, const REAL* g, REAL* dz, Index rows,
                              Index columns, Index g_step, Index ignored, double smoothing) {
  const REAL spread = REAL(smoothing / columns), sharp = REAL(1 - smoothing);
  REAL all_weights = 0;
  if (smoothing != 0) {  // the same for the whole launch
    for (Index c = lane(); c < columns; c += WARP) all_weights += w == nullptr ? REAL(1) : w[c];
    all_weights = warp_sum(all_weights);
  }
  for (Index row = first_row(); row < rows; row += row_stride()) {
    const Index start = row * columns, label = labels[row];
    const bool valid = label != ignored, known = label >= 0 && label < columns;
    const REAL weight = !known ? REAL(0) : sharp * (w == nullptr ? REAL(1) : w[label]);
    const REAL sum = weight + spread * all_weights;
    const REAL scale = total == nullptr ? g[row * g_step] : g[row * g_step] / total[0];
    for (Index c = lane(); c < columns; c += WARP) {
      REAL target = c == label ? weight : REAL(0);
      if (smoothing != 0) target += spread * (w == nullptr ? REAL(1) : w[c]);
      dz[start + c] = valid ? scale * (probabilities[start + c] * sum - target) : REAL(0);
    }
  }
}
