// NV12 to a model's input: bf16 [3, S, S], the picture squashed to a square by bilinear interpolation (half-pixel
// centres, no antialiasing) of its 8-bit RGB, scaled to -1..1.
// One block makes 64 x `rows` results. The pixels below them are converted once into shared memory, where neighbouring
// results read them again; a thread makes two results side by side and stores them as one word.
#ifndef DYN_SMEM
#define DYN_SMEM(T, name) extern __shared__ T name[]
#endif
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

const int OUT_W = 64, THREADS = 256;

__device__ __forceinline__ u32 bf16(float v) {
  u32 bits = __float_as_uint(v);
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
__device__ __forceinline__ u32 level(float v) { return (u32)min(max(__float2int_rn(v), 0), 255); }

struct Colours { float offset, gain, r_v, g_u, g_v, b_u; };
// one pixel as red | green << 8 | blue << 16
__device__ __forceinline__ u32 rgb(int y, int u, int v, const Colours& k) {
  float l = fmaxf((float)y - k.offset, 0.f) * k.gain, fu = (float)u - 128.f, fv = (float)v - 128.f;
  return level(l + k.r_v * fv) | level(l - k.g_u * fu - k.g_v * fv) << 8 | level(l + k.b_u * fu) << 16;
}

__device__ __forceinline__ float source(float scale, int at) { return fmaxf(scale * (at + 0.5f) - 0.5f, 0.f); }

__device__ __forceinline__ float channel(u32 a, u32 b, u32 c, u32 d, int shift, float lx, float ly) {
  float p = (float)((a >> shift) & 255u), q = (float)((b >> shift) & 255u);
  float r = (float)((c >> shift) & 255u), s = (float)((d >> shift) & 255u);
  float v = (1.f - ly) * ((1.f - lx) * p + lx * q) + ly * ((1.f - lx) * r + lx * s);
  return v * (1.f / 127.5f) - 1.f;
}

struct Window { int X0, Y0, X1, Y1; };  // the last ones included

// The pixels of a window as RGB, four at a time where the picture's rows are whole, aligned words.
__device__ void convert(
    u32* tile, int pitch, const u8* y, const u8* uv, int W, Window at, const Colours& k, int vector) {
  const int across = (at.X1 - at.X0) / 4 + 1, count = across * (at.Y1 - at.Y0 + 1), CW = (W + 1) / 2;
  for (int i = threadIdx.x; i < count; i += THREADS) {
    int r = i / across, c = (i - r * across) * 4, py = at.Y0 + r, px = at.X0 + c;
    const u8 *luma = y + (size_t)py * W + px, *chroma = uv + ((size_t)(py >> 1) * CW + (px >> 1)) * 2;
    u32* to = tile + r * pitch + c;
    if (vector) {
      u32 l = *(const u32*)luma, q = *(const u32*)chroma;
#pragma unroll
      for (int n = 0; n < 4; n++) {
        u32 pair = n < 2 ? q : q >> 16;
        to[n] = rgb((l >> (8 * n)) & 255u, pair & 255u, (pair >> 8) & 255u, k);
      }
    } else {
      for (int n = 0; n < min(4, W - px); n++) to[n] = rgb(luma[n], chroma[n & ~1], chroma[(n & ~1) + 1], k);
    }
  }
}

// Two results side by side in each plane, from four taps each.
__device__ __forceinline__ void store(u16* out, int S, int i, int j, const u32* taps, const float* lx, float ly) {
#pragma unroll
  for (int c = 0; c < 3; c++) {
    u32 a = bf16(channel(taps[0], taps[1], taps[2], taps[3], 8 * c, lx[0], ly));
    u32 b = bf16(channel(taps[4], taps[5], taps[6], taps[7], 8 * c, lx[1], ly));
    u16* to = out + ((size_t)c * S + i) * S + j;
    if ((S & 1) == 0) *(u32*)to = a | b << 16;
    else {
      to[0] = (u16)a;
      if (j + 1 < S) to[1] = (u16)b;
    }
  }
}

// `pitch`: of a row of converted pixels.
extern "C" __global__ void __launch_bounds__(256) nv12_to_model(
    const u8* y, const u8* uv, u16* out, int H, int W, int S, int pitch, int rows, float sy, float sx, float offset,
    float gain, float r_v, float g_u, float g_v, float b_u, int vector) {
  DYN_SMEM(u32, tile);
  const int J0 = blockIdx.x * OUT_W, I0 = blockIdx.y * rows;
  const int X0 = min((int)source(sx, J0), W - 1) & ~3, Y0 = min((int)source(sy, I0), H - 1);
  const int X1 = min((int)source(sx, min(J0 + OUT_W, S) - 1) + 1, W - 1);
  const int Y1 = min((int)source(sy, min(I0 + rows, S) - 1) + 1, H - 1);
  convert(tile, pitch, y, uv, W, {X0, Y0, X1, Y1}, {offset, gain, r_v, g_u, g_v, b_u}, vector);
  __syncthreads();
  const int j = J0 + (threadIdx.x & 31) * 2;
  if (j >= S) return;
  int left[2], right[2];
  float lx[2];
#pragma unroll
  for (int n = 0; n < 2; n++) {
    float fx = source(sx, min(j + n, S - 1));
    int x0 = min((int)fx, W - 1);
    lx[n] = fx - x0;
    left[n] = x0 - X0;
    right[n] = min(x0 + 1, W - 1) - X0;
  }
  for (int i = I0 + (threadIdx.x >> 5); i < min(I0 + rows, S); i += THREADS / 32) {
    float fy = source(sy, i);
    int y0 = min((int)fy, H - 1);
    const u32 *upper = tile + (y0 - Y0) * pitch, *lower = tile + (min(y0 + 1, H - 1) - Y0) * pitch;
    const u32 taps[8] = {upper[left[0]], upper[right[0]], lower[left[0]], lower[right[0]],
                         upper[left[1]], upper[right[1]], lower[left[1]], lower[right[1]]};
    store(out, S, i, j, taps, lx, fy - y0);
  }
}
