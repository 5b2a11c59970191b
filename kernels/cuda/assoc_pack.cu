// Everything that the host needs of a frame, gathered into one block of memory: header, a row per object, overlaps with
// the tracks, and the run-length codes without gaps. One block per object; the first also writes the header.
// The layout is that of kernels/association.py.
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

constexpr int kHeaderWords = 8, kRowWords = 24, kStatistics = 8;
constexpr u32 kAll = 0xffffffffu;

// A code that did not fit where it was made has no bytes.
__device__ __forceinline__ int code_bytes(const int* lengths, int n) { return lengths ? max(lengths[n], 0) : 0; }

__device__ __forceinline__ int warp_sum(int v) {
  for (int d = 16; d; d >>= 1) v += __shfl_xor_sync(kAll, v, d);
  return v;
}

// Bytes of all codes before object n, known to all threads.
__device__ int codes_before(const int* lengths, int n) {
  __shared__ int total;
  if (threadIdx.x == 0) total = 0;
  __syncthreads();
  int sum = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += code_bytes(lengths, i);
  sum = warp_sum(sum);
  if ((threadIdx.x & 31) == 0 && sum) atomicAdd(&total, sum);
  __syncthreads();
  return total;
}

// Codes are laid end to end, so the first that does not fit is followed by others that do not.
__device__ void write_header(int* out, const int* lengths, int n, int m, int codes_offset, int capacity) {
  __shared__ int used, lost;
  if (threadIdx.x == 0) used = lost = 0;
  __syncthreads();
  if (threadIdx.x < 32) {
    int before = 0;
    for (int first = 0; first < n; first += 32) {
      const int i = first + (int)threadIdx.x, lane = (int)threadIdx.x;
      int end = i < n ? code_bytes(lengths, i) : 0;
      for (int d = 1; d < 32; d <<= 1) {
        const int left = __shfl_up_sync(kAll, end, d);
        if (lane >= d) end += left;
      }
      end += before;
      const bool fits = end <= capacity - codes_offset;
      if (i < n && fits) atomicMax(&used, end);
      if (i < n && lengths && (!fits || lengths[i] < 0)) atomicAdd(&lost, 1);
      before = __shfl_sync(kAll, end, 31);
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    out[0] = n;
    out[1] = m;
    out[2] = (kHeaderWords + kRowWords * n) * 4;
    out[3] = codes_offset;
    out[4] = codes_offset + used;
    out[5] = lost;
    out[6] = out[7] = 0;
  }
}

__device__ __forceinline__ u32 row_word(int word, int n, const float* scores, const u8* keep, const int* stats,
                                        const int* video_stats, const u64* moments, int offset, int length) {
  if (word == 0) return __float_as_uint(scores[n]);
  if (word == 1) return keep ? keep[n] : 1u;
  if (word < 10) return stats[n * kStatistics + word - 2];
  if (word < 18) return video_stats ? video_stats[n * kStatistics + word - 10] : 0u;
  if (word < 22) return moments ? (u32)(moments[n * 2 + (word - 18) / 2] >> (word % 2 * 32)) : 0u;
  return word == 22 ? offset : length;
}

extern "C" __global__ void __launch_bounds__(128, 4)
assoc_pack(const float* iou, const float* scores, const u8* keep, const int* stats, const int* video_stats,
           const u64* moments, const u8* codes, const int* lengths, const int* n_valid, const int* m_valid, u32* out,
           int columns, int code_capacity, int capacity) {
  const int valid = *n_valid, m = *m_valid, n = blockIdx.x, tid = threadIdx.x;
  const int iou_word = kHeaderWords + kRowWords * valid, codes_offset = (iou_word + valid * m) * 4;
  if (n == 0) write_header(reinterpret_cast<int*>(out), lengths, valid, m, codes_offset, capacity);
  if (n >= valid) return;

  const int before = codes_before(lengths, n), own = code_bytes(lengths, n);
  const bool fits = (!lengths || lengths[n] >= 0) && before + own <= capacity - codes_offset;
  const int offset = fits ? codes_offset + before : 0, length = fits ? own : -1;
  u32* row = out + kHeaderWords + kRowWords * n;
  for (int word = tid; word < kRowWords; word += blockDim.x)
    row[word] = row_word(word, n, scores, keep, stats, video_stats, moments, offset, length);
  for (int i = tid; i < m; i += blockDim.x)
    out[iou_word + n * m + i] = __float_as_uint(iou[(size_t)n * columns + i]);
  u8* target = reinterpret_cast<u8*>(out) + offset;
  for (int i = tid; i < length; i += blockDim.x) target[i] = codes[(size_t)n * code_capacity + i];
}
