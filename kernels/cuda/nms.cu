// Drawing order by score, and greedy suppression of masks that overlap a better one.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

const int ORDER_THREADS = 128, LIMIT = 512, WARPS = LIMIT / 32;
#ifndef DYN_SMEM
#define DYN_SMEM(T, name) extern __shared__ T name[]
#endif

// Scores as unsigned integers of the same order; NaN is lowest, and both zeros are one.
__device__ __forceinline__ u32 sort_key(float score) {
  if (score != score) return 0;
  const u32 bits = __float_as_uint(score + 0.f);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

// How many of `n` keys, those of objects `base` and on, come before object i's: better ones, and equal ones of a lower
// index.
__device__ __forceinline__ int rank_among(const u32* keys, int n, int base, int i, u32 own) {
  int rank = 0;
#pragma unroll 8
  for (int j = 0; j < n; j++) rank += keys[j] > own || (keys[j] == own && base + j < i);
  return rank;
}

extern "C" __global__ void __launch_bounds__(128)
score_order(const float* __restrict__ scores, const int* __restrict__ n_valid, int* __restrict__ order) {
  __shared__ u32 s_key[ORDER_THREADS];
  const int tid = threadIdx.x, i = (int)blockIdx.x * ORDER_THREADS + tid, n = n_valid[0];
  const u32 own = i < n ? sort_key(scores[i]) : 0;
  int rank = 0;
  for (int base = 0; base < n; base += ORDER_THREADS) {
    __syncthreads();
    if (base + tid < n) s_key[tid] = sort_key(scores[base + tid]);
    __syncthreads();
    rank += rank_among(s_key, min(ORDER_THREADS, n - base), base, i, own);
  }
  if (i < n) order[rank] = i;
}

// Dynamic shared memory: for each object a row of ceil(capacity / 32) words, one bit for each object that it overlaps.
extern "C" __global__ void __launch_bounds__(512)
nms(const float* __restrict__ iou, const float* __restrict__ scores, const int* __restrict__ n_valid,
    u8* __restrict__ keep, int capacity, float threshold) {
  DYN_SMEM(u32, s_overlap);
  __shared__ u32 s_key[LIMIT], s_kept[WARPS];
  __shared__ u16 s_order[LIMIT];
  const int tid = threadIdx.x, lane = tid & 31, warp = tid >> 5, n = n_valid[0], words = (n + 31) >> 5;
  if (tid < n) s_key[tid] = sort_key(scores[tid]);
  __syncthreads();
  if (tid < n) s_order[rank_among(s_key, n, 0, tid, s_key[tid])] = (u16)tid;
#pragma unroll 4
  for (int t = warp; t < n * words; t += WARPS) {
    const int i = t / words, j = (t - i * words) * 32 + lane;
    const u32 over = __ballot_sync(0xffffffffu, j < n && iou[(size_t)i * capacity + j] > threshold);
    if (lane == 0) s_overlap[t] = over;
  }
  __syncthreads();
  if (warp == 0 && n > 0) {  // lane l has word l of what is gone and of what is kept
    u32 gone = 0, kept = 0;
    int i = s_order[0];
    u32 overlap = lane < words ? s_overlap[i * words + lane] : 0;
    for (int rank = 0; rank < n; rank++) {
      const int next = s_order[min(rank + 1, n - 1)];
      const u32 next_overlap = lane < words ? s_overlap[next * words + lane] : 0;  // before it is known to be needed
      if (!(__shfl_sync(0xffffffffu, gone, i >> 5) >> (i & 31) & 1u)) {
        gone |= overlap;
        if (lane == i >> 5) kept |= 1u << (i & 31);
      }
      i = next, overlap = next_overlap;
    }
    if (lane < words) s_kept[lane] = kept;
  }
  __syncthreads();
  if (tid < n) keep[tid] = (u8)(s_kept[warp] >> lane & 1u);
}
