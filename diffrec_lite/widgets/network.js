// DiffuRecSys and DCRec once more, as they run in a page: no PyTorch, no library, every multiplication written out.
// The weights are those that PyTorch trained, and every part has its name from the Python code, so that the two can be
// read side by side: layers.py, diffusion.py, noise.py, models/denoiser.py, diffurec.py, dcrec.py, dcdt.py.
//
// One reader at a time: what is (B, L, d) in Python is (L, d) here, an array of L rows with d numbers in each. With one
// reader nothing is padded, so there is nothing to mask. Dropout belongs to training. V is the number of items plus 1.

// ---------------------------------------------------------------- arithmetic

// a · b, of two rows of d numbers.
function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

// A^T: (L, M) -> (M, L).
const transpose = (A) => Array.from(A[0], (_, j) => A.map((row) => row[j]));

// A B: (L, M), (M, d) -> (L, d).
function matmul(A, B) {
  const columns = transpose(B);
  return A.map((row) => columns.map((column) => dot(row, column)));
}

// a x + b y, number by number: (L, d) -> (L, d).
const blend = (a, x, b, y) => x.map((row, i) => Array.from(row, (value, j) => a * value + b * y[i][j]));
const add = (x, y) => blend(1, x, 1, y);
const each = (x, f) => x.map((row) => Array.from(row, f));
const scaled = (a, x) => each(x, (value) => a * value);

// exp(z_i) / sum_j exp(z_j), of a row. The largest z is taken off first, so that nothing overflows.
function softmax(z) {
  const largest = Math.max(...z);
  const powers = Array.from(z, (value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((value) => value / sum);
}

// erf(z), the area below the bell curve: Abramowitz and Stegun 7.1.26, wrong by less than 1.5e-7.
function erf(z) {
  const u = 1 / (1 + 0.3275911 * Math.abs(z));
  const sum = u * (0.254829592 + u * (-0.284496736 + u * (1.421413741 + u * (-1.453152027 + u * 1.061405429))));
  return Math.sign(z) * (1 - sum * Math.exp(-z * z));
}

const silu = (z) => z / (1 + Math.exp(-z));
const gelu = (z) => (z * (1 + erf(z / Math.SQRT2))) / 2;

// ---------------------------------------------------------------- noise: a function of what it is for (noise.py)

// One more whole number mixed into a state of 64 bits (SplitMix64).
function absorb(state, number) {
  let x = BigInt.asUintN(64, state + number + 0x9e3779b97f4a7c15n);
  x = BigInt.asUintN(64, (x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n);
  x = BigInt.asUintN(64, (x ^ (x >> 27n)) * 0x94d049bb133111ebn);
  return x ^ (x >> 31n);
}

// One seed from several whole numbers.
const mix = (...numbers) => numbers.reduce((state, number) => absorb(state, BigInt(number)), 0n) >> 1n;

// Every bit of 32 moves half of the bits of the result (MurmurHash3).
function scramble(x) {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

// Uniform on (0, 1), from the upper 23 of 32 bits.
const uniform = (bits) => ((bits >>> 9) + 0.5) * 2 ** -23;

// noise(L, d, step, stream): standard normal numbers (L, d), the same that `Noise(seed, [user])` gives in Python.
function noiseOf(seed, user = 0) {
  const reader = absorb(absorb(0n, BigInt(user)), 0n);
  return (L, d, step = 0, stream = 0) => {
    const place = absorb(reader, mix(seed, step, stream));
    return Array.from({ length: L }, (_, i) => normals(absorb(place, BigInt(L - 1 - i)), d)); // recency: 0 is the last
  };
}

// d standard normal numbers from a key of 64 bits: two at a time, by Box and Muller's transform.
function normals(key, d) {
  const low = Number(BigInt.asIntN(32, key)), high = Number(BigInt.asIntN(32, key >> 32n));
  const cosines = [], sines = [];
  for (let counter = 0; counter < Math.ceil(d / 2); counter++) {
    const bits = scramble(scramble((low + Math.imul(counter, 0x1e3779b1)) | 0) ^ high);
    const radius = Math.sqrt(-2 * Math.log(uniform(bits)));
    const angle = 2 * Math.PI * uniform(scramble(bits ^ high));
    cosines.push(radius * Math.cos(angle));
    sines.push(radius * Math.sin(angle));
  }
  return [...cosines, ...sines].slice(0, d);
}

// ---------------------------------------------------------------- layers (layers.py)

// x W^T + b: (L, in) -> (L, out); the weight is (out, in).
const linear = (x, { weight, bias }) => x.map((row) => weight.map((w, out) => dot(w, row) + bias[out]));

// (x - mean) / sqrt(variance + eps), row by row, then times weight plus bias where the norm has them: (L, d) -> (L, d).
function layerNorm(x, { weight, bias } = {}) {
  return x.map((row) => {
    const mean = row.reduce((a, b) => a + b) / row.length;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
    const spread = Math.sqrt(variance + 1e-5);
    return Array.from(row, (value, j) => ((value - mean) / spread) * (weight ? weight[j] : 1) + (bias ? bias[j] : 0));
  });
}

// LN(x) * (1 + scale) + shift, (shift, scale) = Linear(SiLU(condition)): x and condition (L, d) -> (L, d).
function condLN(x, condition, { modulation }) {
  const fields = linear(each(condition, silu), modulation[1]); // (L, 2d): the shift, then the scale
  const d = x[0].length;
  return layerNorm(x).map((row, i) => row.map((value, j) => value * (1 + fields[i][d + j]) + fields[i][j]));
}

// What all attention shares: queries from x (L, d), keys and values from context (M, d), cut into heads. What `look`
// makes of one head's q, k, v is (L, d / h); these answers, side by side, go through `out` -> (L, d).
function headByHead(x, context, { query, key, value, out }, heads, look) {
  const whole = [linear(x, query), linear(context, key), linear(context, value)];
  const width = whole[0][0].length / heads;
  const answers = Array.from({ length: heads }, (_, h) =>
    look(...whole.map((X) => X.map((row) => row.slice(h * width, (h + 1) * width)))));
  return linear(x.map((_, i) => answers.flatMap((answer) => answer[i])), out);
}

// softmax(Q K^T / sqrt(d / h)) V: (L, d).
function attention(x, context, part, heads) {
  return headByHead(x, context, part, heads, (q, k, v) => {
    const weights = scaled(1 / Math.sqrt(q[0].length), matmul(q, transpose(k))).map(softmax); // (L, M)
    return matmul(weights, v);
  });
}

// G = softmax(K)^T V over the positions, Y = softmax(Q) G over the features: (L, d), at a cost that grows with L.
function efficientAttention(x, context, part, heads) {
  return headByHead(x, context, part, heads, (q, k, v) => {
    const G = matmul(transpose(k).map(softmax), v); // (d / h, d / h)
    return matmul(q.map(softmax), G);
  });
}

// Two linear maps with a GELU between them: (L, d) -> (L, 4d) -> (L, d).
const feedForward = (x, part) => linear(each(linear(x, part[0]), gelu), part[3]);

// Self-attention, then feed-forward; each adds its answer to the stream: (L, d) -> (L, d).
function transformerBlock(x, block, heads) {
  const h = layerNorm(x, block.norm1);
  x = add(x, attention(h, h, block.attention, heads));
  return add(x, feedForward(layerNorm(x, block.norm2), block.feed_forward));
}

// CondLN and self-attention over the noised stream x, cross-attention to the clean history H0, feed-forward: (L, d).
function dcdtBlock(x, condition, H0, block, heads) {
  const y = condLN(x, condition, block.norm1);
  x = add(x, attention(y, y, block.self_attention, heads));
  const history = layerNorm(H0, block.norm_history);
  x = add(x, attention(layerNorm(x, block.norm2), history, block.cross_attention, heads));
  return add(x, feedForward(layerNorm(x, block.norm3), block.feed_forward));
}

// d_t: the step t as cosines and sines of many frequencies, through a small network -> (1, d).
function stepEmbedding(t, { mlp }) {
  const half = mlp[0].weight[0].length / 2;
  const angles = Array.from({ length: half }, (_, i) => t * Math.exp((-Math.log(10000) * i) / half));
  const sinusoid = [[...angles.map(Math.cos), ...angles.map(Math.sin)]];
  return linear(each(linear(sinusoid, mlp[0]), silu), mlp[2]);
}

// A learned vector for each position, counted back from the latest book -> (L, d).
const positions = (L, { table }) => Array.from({ length: L }, (_, i) => table.weight[L - 1 - i]);

// ---------------------------------------------------------------- diffusion (diffusion.py)

// x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps.
const qSample = (abar, x0, t, eps) => blend(Math.sqrt(abar[t]), x0, Math.sqrt(1 - abar[t]), eps);

// The best linear guess of x_0 from x_t alone, where x_0 has this variance.
function linearGuess(abar, xt, t, variance) {
  const k = Math.sqrt(abar[t]);
  return scaled((k * variance) / (k * k * variance + 1 - abar[t]), xt);
}

// n moves from T down to 0, evenly spread: n + 1 steps.
const gridOf = (T, n) => Array.from({ length: n + 1 }, (_, i) => Math.floor((T * (n - i)) / n + 0.5));

// From x_t and the prediction x0_hat to x_s, s < t, in one of three ways; `eps` is the noise of arriving at s.
const TRANSITIONS = {
  posterior(abar, x0_hat, xt, t, s, eps) {
    const a = abar[t] / abar[s]; // the share of signal that survives from s to t
    const of_x0 = (Math.sqrt(abar[s]) * (1 - a)) / (1 - abar[t]);
    const of_xt = (Math.sqrt(a) * (1 - abar[s])) / (1 - abar[t]);
    const variance = ((1 - abar[s]) * (1 - a)) / (1 - abar[t]);
    return blend(1, blend(of_x0, x0_hat, of_xt, xt), Math.sqrt(variance), eps);
  },
  renoise: (abar, x0_hat, xt, t, s, eps) => qSample(abar, x0_hat, s, eps),
  ddim(abar, x0_hat, xt, t, s) {
    const implied = scaled(1 / Math.sqrt(1 - abar[t]), blend(1, xt, -Math.sqrt(abar[t]), x0_hat));
    return qSample(abar, x0_hat, s, implied);
  },
};

// The walk down `grid` from x_T: yields every state { t, xt, x0_hat }; the last one, at t = 0, is the sample.
function* reverse(abar, denoise, x_T, grid, noise, transition) {
  let xt = x_T;
  yield { t: grid[0], xt, x0_hat: null };
  for (let i = 1; i < grid.length; i++) {
    const t = grid[i - 1], s = grid[i];
    const x0_hat = denoise(xt, t);
    xt = s === 0 ? x0_hat : TRANSITIONS[transition](abar, x0_hat, xt, t, s, noise(xt.length, xt[0].length, s));
    yield { t: s, xt, x0_hat };
  }
}

// ---------------------------------------------------------------- the models: where the walk starts, and the network

const START = {
  // x_T = noise;  u_i = lambda_i (x_t + d_t);  z_i = e_i + CrossAttention(e_i, u);  x0_hat = Transformer(z), the last.
  DiffuRecSys(model, history, noise) {
    const { T, d, heads, delta } = model.settings, L = history.length, LAMBDA = 1; // the noise stream of lambda
    const e = add(history.map((item) => model.item_embedding.weight[item]), positions(L, model.positions)); // (L, d)

    function fuse(xt, t) {
      const lambda = each(noise(L, d, t, LAMBDA), (value) => delta * (1 + value)); // (L, d)
      const told = add(xt, stepEmbedding(t, model.step_embedding))[0]; // (d)
      const u = each(lambda, (value, j) => value * told[j]); // (L, d)
      return add(e, efficientAttention(e, u, model.cross_attention, heads));
    }

    function approximate(z) {
      for (const block of Object.values(model.blocks)) z = transformerBlock(z, block, heads);
      return layerNorm(z.slice(-1), model.norm); // (1, d)
    }

    return { x_T: noise(1, d, T), denoise: (xt, t) => approximate(fuse(xt, t)) };
  },

  // S_T = noise + delta [i_2 … i_n, 0];  S_0_hat = DCDT(S_t, t, H_0);  the target is the last place of the stream.
  DCRec(model, history, noise) {
    const { T, d, heads, delta, signal } = model.settings, L = history.length;
    const place = positions(L, model.positions); // (L, d)
    const embed = (items) => layerNorm(items.map((item) => model.item_embedding.weight[item]));
    const H0 = add(embed(history), place); // (L, d), the clean history
    const known = [...scaled(signal, embed(history.slice(1))), Array(d).fill(0)]; // (L, d), the stream, so far as known

    function enter(St, t) {
      const x = scaled(1 / signal, linearGuess(model.abar, St, t, signal ** 2));
      return add(x, [...place.slice(1), model.slot]); // each book has its place, and the place to be filled its mark
    }

    function denoise(St, t) {
      const d_t = stepEmbedding(t, model.step_embedding);
      const condition = H0.map((row) => add([row], d_t)[0]); // (L, d): the step, and the clean book beside
      let x = enter(St, t);
      for (const block of Object.values(model.blocks)) x = dcdtBlock(x, condition, H0, block, heads);
      return scaled(signal, condLN(x, condition, model.norm));
    }

    return { x_T: blend(1, noise(L, d, T), delta / signal, known), denoise };
  },
};

// Every state of the reverse process for one history of item ids: { t, xt (d), x0_hat (d) or null, scores (V) }.
function* trajectory(model, history, { steps, seed = 0, user = 0, transition = model.settings.transition }) {
  history = history.slice(-model.settings.max_len);
  const noise = noiseOf(seed, user);
  const { x_T, denoise } = START[model.settings.model](model, history, noise);
  const grid = gridOf(model.settings.T, steps);
  for (const state of reverse(model.abar, denoise, x_T, grid, noise, transition)) {
    const xt = state.xt.at(-1), x0_hat = state.x0_hat ? state.x0_hat.at(-1) : null;
    yield { t: state.t, xt, x0_hat, scores: rounding(model, x0_hat ?? xt, history) };
  }
}

// x0_hat · e_j for every item j, plus a learned number for each time that the history holds j; -inf for the padding.
function rounding(model, x0_hat, history) {
  const scores = model.item_embedding.weight.map((e) => dot(e, x0_hat) / (model.settings.signal ?? 1));
  for (const item of history) scores[item] += 100 * (model.seen_bias?.weight ?? 0);
  scores[0] = -Infinity;
  return scores;
}

// ---------------------------------------------------------------- the weights

// What `pack` of live.py sends: weights by their names in Python become model.blocks[0].norm1.weight and so on. A
// matrix is an array of rows.
function unpack({ settings, abar, weights }) {
  const model = { settings, abar };
  for (const [name, { shape, data }] of Object.entries(weights)) {
    const numbers = new Float32Array(Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)).buffer);
    const path = name.split("."), last = path.pop();
    const part = path.reduce((inside, step) => (inside[step] ??= {}), model);
    const [rows, d] = shape;
    if (shape.length === 0) part[last] = numbers[0];
    else if (shape.length === 1) part[last] = numbers;
    else part[last] = Array.from({ length: rows }, (_, row) => numbers.subarray(row * d, (row + 1) * d));
  }
  return model;
}
