// Composite: colour, outline, feather, pixelation and a replaced background in one pass over the picture, out of place.
// One block takes a tile of 64 x 32 pixels through shared memory, so that the picture is read and written in vectors
// whatever a pixel's size is, and so that a pixelation cell never leaves its block; a thread shades quads of 2 x 2
// pixels, which share one chroma sample in NV12. Shading loops are not unrolled: most tiles are copies, and in the
// others the size of the code costs more than the branches. Four blocks fit a multiprocessor: 132 of them hold all of
// 720p at once.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

enum Mode { FILL = 1, OUTLINE = 2, PIXELATE = 4, COLOUR_BEHIND = 8, IMAGE_BEHIND = 16, BLUR_BEHIND = 32 };
const int REPLACED = COLOUR_BEHIND | IMAGE_BEHIND | BLUR_BEHIND;
enum Near { BACKGROUND_NEAR = 1, OBJECT_NEAR = 2 };
const int TILE_W = 64, TILE_H = 32, ROW = TILE_W * 3, THREADS = 256, CELLS = 32;

__device__ __forceinline__ float widen(float v) { return v; }
__device__ __forceinline__ float widen(u16 v) { return __uint_as_float((u32)v << 16); }
__device__ __forceinline__ float unit(float v) { return fminf(fmaxf(v, 0.f), 1.f); }
__device__ __forceinline__ u8 level(float v) { return (u8)fminf(fmaxf(v + 0.5f, 0.f), 255.f); }

struct Pixel { float a, b, c; };
__device__ __forceinline__ Pixel mix(Pixel from, Pixel to, float t) {
  return {from.a + t * (to.a - from.a), from.b + t * (to.b - from.b), from.c + t * (to.c - from.c)};
}

struct Cover { int shown, own; float inside, line; };

template <typename O, typename L>
struct Layers {
  const O* owner; const L* logits;
  int ids, h, w, H, W, mode;
  float thickness, feather, sy, sx;

  __device__ __forceinline__ int id(int y, int x) const {
    int o = owner[(size_t)y * W + x];
    return o <= ids ? o : 0;
  }
  __device__ __forceinline__ int near_one(int y, int x, int own, bool objects) const {
    if (y < 0 || x < 0 || y >= H || x >= W) return 0;
    int o = id(y, x);
    return o == own ? 0 : o ? (objects ? OBJECT_NEAR : 0) : BACKGROUND_NEAR;
  }
  // what else than `own` lies within reach along the axes; other objects count up to their own reach
  __device__ int near(int y, int x, int own, int reach, int object_reach) const {
    int seen = 0;
#pragma unroll 1
    for (int k = 1; k <= reach; k++) {
      bool objects = k <= object_reach;
      seen |= near_one(y, x - k, own, objects) | near_one(y, x + k, own, objects);
      seen |= near_one(y - k, x, own, objects) | near_one(y + k, x, own, objects);
    }
    return seen;
  }
  __device__ int largest_neighbour(int y, int x) const {
    int o = x > 0 ? id(y, x - 1) : 0;
    if (x + 1 < W) o = max(o, id(y, x + 1));
    if (y > 0) o = max(o, id(y - 1, x));
    if (y + 1 < H) o = max(o, id(y + 1, x));
    return o;
  }
  // pixels from the zero line of one object's logits, positive inside: value over gradient, both bilinear
  __device__ float distance(int object, int y, int x) const {
    float fy = fmaxf(sy * (y + 0.5f) - 0.5f, 0.f), fx = fmaxf(sx * (x + 0.5f) - 0.5f, 0.f);
    int y0 = min((int)fy, h - 1), x0 = min((int)fx, w - 1), down = y0 < h - 1 ? w : 0, right = x0 < w - 1;
    float ly = fy - y0, lx = fx - x0;
    const L* p = logits + ((size_t)object * h + y0) * w + x0;
    float a = widen(p[0]), b = widen(p[right]), c = widen(p[down]), d = widen(p[down + right]);
    float v = (1.f - ly) * ((1.f - lx) * a + lx * b) + ly * ((1.f - lx) * c + lx * d);
    float gx = sx * ((1.f - ly) * (b - a) + ly * (d - c)), gy = sy * ((1.f - lx) * (c - a) + lx * (d - b));
    return v / fmaxf(sqrtf(gx * gx + gy * gy), 1e-6f);
  }
  __device__ Cover cover(int y, int x) const {
    int own = id(y, x), shown = own, seam = (int)ceilf(thickness);
    if (!own && logits) shown = largest_neighbour(y, x);
    if (!shown) return {0, 0, 0.f, 0.f};
    if (!logits) return {own, own, 1.f, mode & OUTLINE && near(y, x, own, seam, seam) ? 1.f : 0.f};
    float d = distance(shown - 1, y, x), edge = unit(d + 0.5f), inside = unit((d + 0.5f) / feather), line = 0.f;
    if (!own) return {shown, 0, inside, mode & OUTLINE ? edge : 0.f};
    // weak logits without an edge beside them are filled holes
    int soft = (int)(1.5f * feather) + 1;
    if (inside < 1.f && !near(y, x, own, soft, soft)) inside = 1.f;
    if (mode & OUTLINE) {
      float band = edge * unit(thickness + 0.5f - d);
      int seen = near(y, x, own, band > 0.f ? (int)(1.5f * thickness) + 1 : seam, seam);
      line = seen & OBJECT_NEAR ? 1.f : seen & BACKGROUND_NEAR ? band : 0.f;
    }
    return {shown, own, inside, line};
  }
};

__device__ Pixel blurred_at(const u8* quarter, int y, int x, int H, int W) {
  int h = (H + 3) >> 2, w = (W + 3) >> 2;
  float fy = fminf(fmaxf(0.25f * (y + 0.5f) - 0.5f, 0.f), (float)(h - 1));
  float fx = fminf(fmaxf(0.25f * (x + 0.5f) - 0.5f, 0.f), (float)(w - 1));
  int y0 = (int)fy, x0 = (int)fx, y1 = min(y0 + 1, h - 1), x1 = min(x0 + 1, w - 1);
  float ly = fy - y0, lx = fx - x0, out[3];
  const u32* q = (const u32*)quarter;
  u32 a = q[y0 * w + x0], b = q[y0 * w + x1], c = q[y1 * w + x0], d = q[y1 * w + x1];
#pragma unroll
  for (int k = 0; k < 3; k++, a >>= 8, b >>= 8, c >>= 8, d >>= 8)
    out[k] = (1.f - ly) * ((1.f - lx) * (float)(a & 255u) + lx * (float)(b & 255u)) +
             ly * ((1.f - lx) * (float)(c & 255u) + lx * (float)(d & 255u));
  return {out[0], out[1], out[2]};
}

// Rows of a tile between global and shared memory, in words of the size that the caller knows them to be aligned to.
template <int WIDTH, typename V>
__device__ void copy_rows(u8* to, int to_pitch, const u8* from, int from_pitch, int rows, int valid_rows, int valid) {
  const int across = WIDTH / (int)sizeof(V);
  for (int i = threadIdx.x; i < rows * across; i += THREADS) {
    int r = i / across, c = (i - r * across) * (int)sizeof(V);
    if (r >= valid_rows || c >= valid) continue;
    *(V*)(to + (size_t)r * to_pitch + c) = *(const V*)(from + (size_t)r * from_pitch + c);
  }
}
template <int WIDTH>
__device__ void load_rows(u8* tile, const u8* from, int rows, int pitch, int valid_rows, int valid, int vector) {
  if (vector) copy_rows<WIDTH, u64>(tile, WIDTH, from, pitch, rows, valid_rows, valid);
  else copy_rows<WIDTH, u8>(tile, WIDTH, from, pitch, rows, valid_rows, valid);
}
template <int WIDTH>
__device__ void store_rows(const u8* tile, u8* to, int rows, int pitch, int valid_rows, int valid, int vector) {
  if (vector) copy_rows<WIDTH, u64>(to, pitch, tile, WIDTH, rows, valid_rows, valid);
  else copy_rows<WIDTH, u8>(to, pitch, tile, WIDTH, rows, valid_rows, valid);
}

// Whether anything but a copy is to be done in this tile: an object in it or, for soft edges, right beside it.
template <typename O, typename L>
__device__ bool touches(const Layers<O, L>& s, int X0, int Y0) {
  int tx = threadIdx.x & 31, any = 0;
  for (int ty = threadIdx.x >> 5; ty < TILE_H / 2; ty += 8)
    for (int k = 0; k < 4; k++) {
      int lx = tx * 2 + (k & 1), ly = ty * 2 + (k >> 1), x = X0 + lx, y = Y0 + ly;
      if (x >= s.W || y >= s.H) continue;
      any |= s.id(y, x);
      if (lx == 0 && x > 0) any |= s.id(y, x - 1);
      if (lx == TILE_W - 1 && x + 1 < s.W) any |= s.id(y, x + 1);
      if (ly == 0 && y > 0) any |= s.id(y - 1, x);
      if (ly == TILE_H - 1 && y + 1 < s.H) any |= s.id(y + 1, x);
    }
  return any != 0;
}

struct Sums { int a, b, c; };

// Adds a quad's sums to its cell's: lanes of one cell lie side by side, so that a shuffle saves most of the atomics.
__device__ void add_to_cell(int* cells, int cell, int tx, int ty, Sums of) {
  int quads = cell / 2;
  for (int s = 1; s < quads; s <<= 1) {
    of.a += __shfl_xor_sync(0xffffffffu, of.a, s);
    of.b += __shfl_xor_sync(0xffffffffu, of.b, s);
    of.c += __shfl_xor_sync(0xffffffffu, of.c, s);
  }
  if (tx % quads) return;
  int* sum = cells + 3 * (ty / quads * (TILE_W / cell) + tx / quads);
  atomicAdd(sum, of.a);
  atomicAdd(sum + 1, of.b);
  atomicAdd(sum + 2, of.c);
}
__device__ __forceinline__ const int* cell_of(const int* cells, int cell, int tx, int ty) {
  return cells + 3 * (ty * 2 / cell * (TILE_W / cell) + tx * 2 / cell);
}
// How many pixels of a cell lie within a side of the picture.
__device__ __forceinline__ int cell_side(int cell, int quad, int start, int side) {
  return min(cell, side - start - quad * 2 / cell * cell);
}

// A tile of a picture, its rows in shared memory: what depends on the picture's kind.
struct Nv12Tile {
  u8* tile;
  const u8 *y, *uv, *behind_y, *behind_uv;
  u8 *out_y, *out_uv;
  int X0, Y0, H, W, vector;
  float k_r, k_g, k_b, gain, offset, u_b, v_r;

  __device__ __forceinline__ u8* chroma() const { return tile + TILE_W * TILE_H; }
  __device__ __forceinline__ int chroma_width() const { return (W + 1) / 2; }
  __device__ __forceinline__ size_t luma_at() const { return (size_t)Y0 * W + X0; }
  __device__ __forceinline__ size_t chroma_at() const { return ((size_t)(Y0 / 2) * chroma_width() + X0 / 2) * 2; }
  __device__ void load() const {
    const int CW = chroma_width(), CH = (H + 1) / 2;
    load_rows<TILE_W>(tile, y + luma_at(), TILE_H, W, H - Y0, W - X0, vector);
    load_rows<TILE_W>(chroma(), uv + chroma_at(), TILE_H / 2, CW * 2, CH - Y0 / 2, CW * 2 - X0, vector);
  }
  __device__ void store() const {
    const int CW = chroma_width(), CH = (H + 1) / 2;
    store_rows<TILE_W>(tile, out_y + luma_at(), TILE_H, W, H - Y0, W - X0, vector);
    store_rows<TILE_W>(chroma(), out_uv + chroma_at(), TILE_H / 2, CW * 2, CH - Y0 / 2, CW * 2 - X0, vector);
  }
  __device__ Sums sums(int tx, int ty) const {
    Sums of = {0, 0, 0};
    for (int k = 0; k < 4; k++) {
      int lx = tx * 2 + (k & 1), ly = ty * 2 + (k >> 1);
      if (X0 + lx < W && Y0 + ly < H) of.a += tile[ly * TILE_W + lx];
    }
    const u8* pair = chroma() + ty * TILE_W + tx * 2;
    if (X0 + tx * 2 < W && Y0 + ty * 2 < H) of.b = pair[0], of.c = pair[1];
    return of;
  }
  __device__ Pixel mosaic(const int* cells, int cell, int tx, int ty) const {
    const int *sum = cell_of(cells, cell, tx, ty), w = cell_side(cell, tx, X0, W), h = cell_side(cell, ty, Y0, H);
    float whole = (float)(w * h), halved = (float)(((w + 1) / 2) * ((h + 1) / 2));
    return {(float)sum[0] / whole, (float)sum[1] / halved, (float)sum[2] / halved};
  }
  __device__ Pixel colour(const u8* rgba) const {
    float r = (float)rgba[0], g = (float)rgba[1], b = (float)rgba[2], l = k_r * r + k_g * g + k_b * b;
    return {l * gain + offset, (b - l) * u_b + 128.f, (r - l) * v_r + 128.f};
  }
  __device__ Pixel behind(int py, int px) const {
    const u8* q = behind_uv + ((size_t)(py >> 1) * chroma_width() + (px >> 1)) * 2;
    return {(float)behind_y[(size_t)py * W + px], (float)q[0], (float)q[1]};
  }
  template <typename Shade>
  __device__ void shade(int tx, int ty, const Shade& shaded) const {
    u8* pair = chroma() + ty * TILE_W + tx * 2;
    float u = 0.f, v = 0.f;
    int count = 0;
#pragma unroll 1
    for (int k = 0; k < 4; k++) {
      int lx = tx * 2 + (k & 1), ly = ty * 2 + (k >> 1), px = X0 + lx, py = Y0 + ly;
      if (px >= W || py >= H) continue;
      Pixel p = shaded({(float)tile[ly * TILE_W + lx], (float)pair[0], (float)pair[1]}, py, px);
      tile[ly * TILE_W + lx] = level(p.a);
      u += p.b;
      v += p.c;
      count++;
    }
    pair[0] = level(u / (float)count);
    pair[1] = level(v / (float)count);
  }
};

struct RgbTile {
  u8* tile;
  const u8 *frame, *behind_frame;
  u8* out;
  int X0, Y0, H, W, vector;

  __device__ __forceinline__ size_t at() const { return ((size_t)Y0 * W + X0) * 3; }
  __device__ void load() const {
    load_rows<ROW>(tile, frame + at(), TILE_H, W * 3, H - Y0, (W - X0) * 3, vector);
  }
  __device__ void store() const {
    store_rows<ROW>(tile, out + at(), TILE_H, W * 3, H - Y0, (W - X0) * 3, vector);
  }
  __device__ Sums sums(int tx, int ty) const {
    Sums of = {0, 0, 0};
    for (int k = 0; k < 4; k++) {
      int lx = tx * 2 + (k & 1), ly = ty * 2 + (k >> 1);
      const u8* p = tile + ly * ROW + lx * 3;
      if (X0 + lx < W && Y0 + ly < H) of.a += p[0], of.b += p[1], of.c += p[2];
    }
    return of;
  }
  __device__ Pixel mosaic(const int* cells, int cell, int tx, int ty) const {
    const int* sum = cell_of(cells, cell, tx, ty);
    float whole = (float)(cell_side(cell, tx, X0, W) * cell_side(cell, ty, Y0, H));
    return {(float)sum[0] / whole, (float)sum[1] / whole, (float)sum[2] / whole};
  }
  __device__ Pixel colour(const u8* rgba) const { return {(float)rgba[0], (float)rgba[1], (float)rgba[2]}; }
  __device__ Pixel behind(int py, int px) const {
    const u8* q = behind_frame + ((size_t)py * W + px) * 3;
    return {(float)q[0], (float)q[1], (float)q[2]};
  }
  template <typename Shade>
  __device__ void shade(int tx, int ty, const Shade& shaded) const {
#pragma unroll 1
    for (int k = 0; k < 4; k++) {
      int lx = tx * 2 + (k & 1), ly = ty * 2 + (k >> 1), px = X0 + lx, py = Y0 + ly;
      if (px >= W || py >= H) continue;
      u8* pixel = tile + ly * ROW + lx * 3;
      Pixel p = shaded({(float)pixel[0], (float)pixel[1], (float)pixel[2]}, py, px);
      pixel[0] = level(p.a);
      pixel[1] = level(p.b);
      pixel[2] = level(p.c);
    }
  }
};

// One pixel: what it was (or its cell's mean), what lies behind it, its object's colour, the outline.
template <typename T, typename O, typename L>
struct Shading {
  const T& tile;
  const Layers<O, L>& layers;
  const u8 *palette, *quarter;
  Pixel mosaic;

  __device__ Pixel behind(Pixel base, int y, int x) const {
    if (layers.mode & IMAGE_BEHIND) return tile.behind(y, x);
    if (layers.mode & BLUR_BEHIND) return blurred_at(quarter, y, x, layers.H, layers.W);
    return mix(base, tile.colour(palette), (float)palette[3] / 255.f);
  }
  __device__ Pixel operator()(Pixel base, int y, int x) const {
    const int mode = layers.mode;
    const Cover c = layers.cover(y, x);
    Pixel p = mode & PIXELATE && c.own ? mosaic : base;
    if (mode & REPLACED) p = mix(behind(base, y, x), p, c.inside);
    if (c.shown && mode & (FILL | OUTLINE)) {
      const u8* rgba = palette + 4 * c.shown;
      Pixel colour = tile.colour(rgba);
      if (mode & FILL) p = mix(p, colour, (float)rgba[3] / 255.f * c.inside);
      if (c.line > 0.f) p = mix(p, colour, c.line);
    }
    return p;
  }
};

template <typename T, typename O, typename L>
__device__ void composite(
    const T& tile, const Layers<O, L>& s, int* cells, int cell, const u8* palette, const u8* quarter) {
  const int tx = threadIdx.x & 31, mode = s.mode;
  tile.load();
  if (threadIdx.x < CELLS * 3) cells[threadIdx.x] = 0;
  if (__syncthreads_or(touches(s, tile.X0, tile.Y0) || mode & REPLACED)) {
    if (mode & PIXELATE) {
      for (int ty = threadIdx.x >> 5; ty < TILE_H / 2; ty += 8)
        add_to_cell(cells, cell, tx, ty, tile.sums(tx, ty));
      __syncthreads();
    }
#pragma unroll 1
    for (int ty = threadIdx.x >> 5; ty < TILE_H / 2; ty += 8) {
      if (tile.X0 + tx * 2 >= s.W || tile.Y0 + ty * 2 >= s.H) continue;
      Shading<T, O, L> shading = {tile, s, palette, quarter, {0.f, 0.f, 0.f}};
      if (mode & PIXELATE) shading.mosaic = tile.mosaic(cells, cell, tx, ty);
      tile.shade(tx, ty, shading);
    }
    __syncthreads();
  }
  tile.store();
}

#define NV12_PARAMETERS(O, L)                                                                                         \
  const u8 *y, const u8 *uv, const O *owner, const L *logits, const u8 *palette, const int *n_valid,                  \
      const u8 *behind_y, const u8 *behind_uv, const u8 *quarter, u8 *out_y, u8 *out_uv, int N, int h, int w, int H,  \
      int W, int mode, int cell, float thickness, float feather, float sy, float sx, float k_r, float k_g, float k_b, \
      float gain, float offset, float u_b, float v_r, int vector
#define NV12_BODY(O, L)                                                                                               \
  __shared__ u64 tile[TILE_W * TILE_H * 3 / 2 / 8];                                                                   \
  __shared__ int cells[CELLS * 3];                                                                                    \
  const Layers<O, L> s = {owner, logits, min(*n_valid, N), h, w, H, W, mode, thickness, feather, sy, sx};             \
  const Nv12Tile picture = {(u8*)tile, y, uv, behind_y, behind_uv, out_y, out_uv, (int)blockIdx.x * TILE_W,           \
                            (int)blockIdx.y * TILE_H, H, W, vector, k_r, k_g, k_b, gain, offset, u_b, v_r};           \
  composite(picture, s, cells, cell, palette, quarter);
#define RGB_PARAMETERS(O, L)                                                                                          \
  const u8 *frame, const O *owner, const L *logits, const u8 *palette, const int *n_valid, const u8 *behind,          \
      const u8 *quarter, u8 *out, int N, int h, int w, int H, int W, int mode, int cell, float thickness,             \
      float feather, float sy, float sx, int vector
#define RGB_BODY(O, L)                                                                                                \
  __shared__ u64 tile[TILE_W * TILE_H * 3 / 8];                                                                       \
  __shared__ int cells[CELLS * 3];                                                                                    \
  const Layers<O, L> s = {owner, logits, min(*n_valid, N), h, w, H, W, mode, thickness, feather, sy, sx};             \
  const RgbTile picture = {(u8*)tile, frame, behind, out, (int)blockIdx.x * TILE_W, (int)blockIdx.y * TILE_H, H, W,   \
                           vector};                                                                                   \
  composite(picture, s, cells, cell, palette, quarter);

extern "C" __global__ void __launch_bounds__(256, 4) composite_nv12_f32_u8(NV12_PARAMETERS(u8, float)) {
  NV12_BODY(u8, float)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_nv12_bf16_u8(NV12_PARAMETERS(u8, u16)) {
  NV12_BODY(u8, u16)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_nv12_f32_u16(NV12_PARAMETERS(u16, float)) {
  NV12_BODY(u16, float)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_nv12_bf16_u16(NV12_PARAMETERS(u16, u16)) {
  NV12_BODY(u16, u16)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_rgb_f32_u8(RGB_PARAMETERS(u8, float)) {
  RGB_BODY(u8, float)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_rgb_bf16_u8(RGB_PARAMETERS(u8, u16)) {
  RGB_BODY(u8, u16)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_rgb_f32_u16(RGB_PARAMETERS(u16, float)) {
  RGB_BODY(u16, float)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_rgb_bf16_u16(RGB_PARAMETERS(u16, u16)) {
  RGB_BODY(u16, u16)
}
