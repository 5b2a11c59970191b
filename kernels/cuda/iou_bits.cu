// Intersection over union of packed masks. One block takes 4 x 4 pairs, so that a word that is read serves four of
// them: its warps share the words of the smallest rectangle that holds all 16 intersections of boxes, and where no
// boxes meet nothing is read. Areas come from the statistics.
typedef unsigned int u32;

const int TILE = 4, PAIRS = TILE * TILE, THREADS = 256;
const int FAR = 0x7fffffff;

struct Region { int x0, y0, x1, y1; u32 pairs; };

__device__ __forceinline__ int warp_min(int v) {
#pragma unroll
  for (int d = 16; d; d >>= 1) v = min(v, __shfl_xor_sync(0xffffffffu, v, d));
  return v;
}

// Lane 4 i + j looks at pair (i, j); every warp does the same.
__device__ __forceinline__ Region meeting(const int* stats_a, const int* stats_b, int i0, int j0, int rows,
                                          int columns) {
  const int lane = threadIdx.x & 31, i = i0 + lane / TILE, j = j0 + lane % TILE;
  int x0 = FAR, y0 = FAR, x1 = 0, y1 = 0;
  bool meet = false;
  if (lane < PAIRS && i < rows && j < columns) {
    const int *a = stats_a + 8 * i + 2, *b = stats_b + 8 * j + 2;
    const int left = max(a[0], b[0]), top = max(a[1], b[1]), right = min(a[2], b[2]), bottom = min(a[3], b[3]);
    meet = left < right && top < bottom;
    if (meet) x0 = left, y0 = top, x1 = right, y1 = bottom;
  }
  return {warp_min(x0), warp_min(y0), -warp_min(-x1), -warp_min(-y1), __ballot_sync(0xffffffffu, meet)};
}

// Counts the pixels of the pairs in this thread's words. `a`, `b`: the tile's first masks.
__device__ __forceinline__ void count_both(const u32* a, const u32* b, const Region& region, int height, int words,
                                           int (&both)[PAIRS]) {
  const int word0 = region.x0 >> 5, wide = ((region.x1 - 1) >> 5) - word0 + 1, count = wide * (region.y1 - region.y0);
  const int step_y = THREADS / wide, step_x = THREADS % wide;
  const size_t plane = (size_t)height * words;
  a += (size_t)region.y0 * words + word0, b += (size_t)region.y0 * words + word0;
  bool use_a[TILE], use_b[TILE];
#pragma unroll
  for (int k = 0; k < TILE; k++) use_a[k] = region.pairs >> (TILE * k) & 15u, use_b[k] = region.pairs >> k & 0x1111u;
  int y = (int)threadIdx.x / wide, x = (int)threadIdx.x % wide;
#pragma unroll 2
  for (int t = threadIdx.x; t < count; t += THREADS) {
    const size_t at = (size_t)y * words + x;
    u32 word_a[TILE], word_b[TILE];
#pragma unroll
    for (int k = 0; k < TILE; k++) {
      word_a[k] = use_a[k] ? __ldg(a + k * plane + at) : 0u;
      word_b[k] = use_b[k] ? __ldg(b + k * plane + at) : 0u;
    }
#pragma unroll
    for (int k = 0; k < PAIRS; k++) both[k] += __popc(word_a[k / TILE] & word_b[k % TILE]);
    x += step_x, y += step_y;
    if (x >= wide) x -= wide, y++;
  }
}

// Sums over the warp: lane l gets that of pair l / 2. Each step halves how many sums a lane keeps.
__device__ __forceinline__ int sum_pairs(int (&both)[PAIRS]) {
#pragma unroll
  for (int step = 0; step < 4; step++) {
    const int half = PAIRS / 2 >> step, d = 16 >> step;
    const bool upper = threadIdx.x & d;
#pragma unroll
    for (int k = 0; k < PAIRS / 2; k++) {
      if (k >= half) continue;
      const int kept = upper ? both[k + half] : both[k], sent = upper ? both[k] : both[k + half];
      both[k] = kept + __shfl_xor_sync(0xffffffffu, sent, d);
    }
  }
  return both[0] + __shfl_xor_sync(0xffffffffu, both[0], 1);
}

extern "C" __global__ void __launch_bounds__(256, 3)
iou_bits(const u32* __restrict__ a, const u32* __restrict__ b, const int* __restrict__ stats_a,
         const int* __restrict__ stats_b, const int* __restrict__ valid_a, const int* __restrict__ valid_b,
         float* __restrict__ iou, int stride, int height, int words) {
  __shared__ int s_both[PAIRS];
  const int tid = threadIdx.x, lane = tid & 31, rows = valid_a[0], columns = valid_b[0];
  const int i0 = (int)blockIdx.y * TILE, j0 = (int)blockIdx.x * TILE;
  if (i0 >= rows || j0 >= columns) return;
  if (tid < PAIRS) s_both[tid] = 0;
  __syncthreads();
  const Region region = meeting(stats_a, stats_b, i0, j0, rows, columns);
  if (region.pairs) {
    const size_t plane = (size_t)height * words;
    int both[PAIRS] = {};
    count_both(a + i0 * plane, b + j0 * plane, region, height, words, both);
    both[0] = sum_pairs(both);
    if ((lane & 1) == 0 && both[0]) atomicAdd(&s_both[lane >> 1], both[0]);
  }
  __syncthreads();
  const int i = i0 + tid / TILE, j = j0 + tid % TILE;
  if (tid < PAIRS && i < rows && j < columns) {
    const int both = s_both[tid], either = stats_a[8 * i + 1] + stats_b[8 * j + 1] - both;
    iou[(size_t)i * stride + j] = (float)both / (float)max(either, 1);
  }
}
