// Quarter blur: a picture at a quarter of its size, averaged over 4 x 4 pixels and blurred by a symmetric separable
// filter of 17 taps, as [ceil(H/4), ceil(W/4), 4] bytes: three channels as they came, and a spare one.
// One block makes 32 x 16 results; the averages with their margin, then the rows' sums, pass through shared memory.
typedef unsigned char u8;
typedef unsigned int u32;

const int OUT_W = 32, OUT_H = 16, RADIUS = 8, IN_W = OUT_W + 2 * RADIUS, IN_H = OUT_H + 2 * RADIUS, THREADS = 256;

struct Averages { float a, b, c; };

__device__ __forceinline__ int byte_sum(u32 v) {
  return (v & 255u) + ((v >> 8) & 255u) + ((v >> 16) & 255u) + (v >> 24);
}

struct Nv12 {
  const u8 *y, *uv;
  int H, W, vector;
  __device__ Averages at(int qy, int qx) const {
    int y0 = qy * 4, x0 = qx * 4, rows = min(4, H - y0), columns = min(4, W - x0), luma = 0, u = 0, v = 0;
    int CW = (W + 1) / 2, crows = (rows + 1) / 2, ccolumns = (columns + 1) / 2;
    for (int r = 0; r < rows; r++) {
      const u8* p = y + (size_t)(y0 + r) * W + x0;
      if (vector) luma += byte_sum(*(const u32*)p);
      else for (int c = 0; c < columns; c++) luma += p[c];
    }
    for (int r = 0; r < crows; r++) {
      const u8* p = uv + ((size_t)(y0 / 2 + r) * CW + x0 / 2) * 2;
      if (vector) {
        u32 q = *(const u32*)p;
        u += (q & 255u) + ((q >> 16) & 255u);
        v += ((q >> 8) & 255u) + (q >> 24);
      } else for (int c = 0; c < ccolumns; c++) u += p[2 * c], v += p[2 * c + 1];
    }
    float n = (float)(rows * columns), m = (float)(crows * ccolumns);
    return {(float)luma / n, (float)u / m, (float)v / m};
  }
};

struct Rgb {
  const u8* frame;
  int H, W, vector;
  __device__ Averages at(int qy, int qx) const {
    int y0 = qy * 4, x0 = qx * 4, rows = min(4, H - y0), columns = min(4, W - x0), a = 0, b = 0, d = 0;
    for (int r = 0; r < rows; r++) {
      const u8* p = frame + ((size_t)(y0 + r) * W + x0) * 3;
      if (vector) {
        u32 u = ((const u32*)p)[0], v = ((const u32*)p)[1], w = ((const u32*)p)[2];
        a += (u & 255u) + (u >> 24) + ((v >> 16) & 255u) + ((w >> 8) & 255u);
        b += ((u >> 8) & 255u) + (v & 255u) + (v >> 24) + ((w >> 16) & 255u);
        d += ((u >> 16) & 255u) + ((v >> 8) & 255u) + (w & 255u) + (w >> 24);
      } else for (int c = 0; c < columns; c++, p += 3) a += p[0], b += p[1], d += p[2];
    }
    float n = (float)(rows * columns);
    return {(float)a / n, (float)b / n, (float)d / n};
  }
};

__device__ __forceinline__ u32 rounded(float v) { return (u32)fminf(fmaxf(v + 0.5f, 0.f), 255.f); }

template <typename F>
__device__ void quarter_blur(float* in, float* rows, const F& frame, const float* weight, u8* out) {
  const int h = (frame.H + 3) / 4, w = (frame.W + 3) / 4, X0 = blockIdx.x * OUT_W, Y0 = blockIdx.y * OUT_H;
  for (int i = threadIdx.x; i < IN_H * IN_W; i += THREADS) {
    int r = i / IN_W, c = i - r * IN_W;
    Averages q = frame.at(min(max(Y0 + r - RADIUS, 0), h - 1), min(max(X0 + c - RADIUS, 0), w - 1));
    in[i] = q.a;
    in[IN_H * IN_W + i] = q.b;
    in[2 * IN_H * IN_W + i] = q.c;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < 3 * IN_H * OUT_W; i += THREADS) {
    int line = i / OUT_W, c = i - line * OUT_W;
    const float* p = in + line * IN_W + c + RADIUS;
    float sum = weight[0] * p[0];
#pragma unroll
    for (int k = 1; k <= RADIUS; k++) sum += weight[k] * (p[-k] + p[k]);
    rows[i] = sum;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < OUT_H * OUT_W; i += THREADS) {
    int r = i / OUT_W, c = i - r * OUT_W;
    if (Y0 + r >= h || X0 + c >= w) continue;
    u32 packed = 0;
    for (int channel = 0; channel < 3; channel++) {
      const float* p = rows + (channel * IN_H + r + RADIUS) * OUT_W + c;
      float sum = weight[0] * p[0];
#pragma unroll
      for (int k = 1; k <= RADIUS; k++) sum += weight[k] * (p[-k * OUT_W] + p[k * OUT_W]);
      packed |= rounded(sum) << (8 * channel);
    }
    ((u32*)out)[(size_t)(Y0 + r) * w + X0 + c] = packed;
  }
}

#define WEIGHTS float w0, float w1, float w2, float w3, float w4, float w5, float w6, float w7, float w8
#define BODY(FRAME)                                                                                                    \
  __shared__ float in[3 * IN_H * IN_W];                                                                                \
  __shared__ float rows[3 * IN_H * OUT_W];                                                                             \
  const float weight[RADIUS + 1] = {w0, w1, w2, w3, w4, w5, w6, w7, w8};                                               \
  quarter_blur(in, rows, FRAME, weight, out);
extern "C" __global__ void __launch_bounds__(256) quarter_blur_nv12(
    const u8* y, const u8* uv, u8* out, int H, int W, int vector, WEIGHTS) {
  Nv12 frame = {y, uv, H, W, vector};
  BODY(frame)
}
extern "C" __global__ void __launch_bounds__(256) quarter_blur_rgb(
    const u8* frame, u8* out, int H, int W, int vector, WEIGHTS) {
  Rgb picture = {frame, H, W, vector};
  BODY(picture)
}
