// One function for each unary and binary operation of `ir::op`, named op_ and the operation.
// WGSL leaves infinities and NaNs undefined, so arguments are kept where the results are finite.

fn op_scale(x: f32, s: f32) -> f32 {
    return x * s;
}

fn op_shift(x: f32, s: f32) -> f32 {
    return x + s;
}

fn op_soft_cap(x: f32, s: f32) -> f32 {
    return s * op_tanh(x / s);
}

fn op_at_least(x: f32, s: f32) -> f32 {
    return max(x, s);
}

fn op_at_most(x: f32, s: f32) -> f32 {
    return min(x, s);
}

fn op_neg(x: f32) -> f32 {
    return -x;
}

fn op_abs(x: f32) -> f32 {
    return abs(x);
}

fn op_exp(x: f32) -> f32 {
    return exp(x);
}

fn op_log(x: f32) -> f32 {
    return log(x);
}

fn op_sqrt(x: f32) -> f32 {
    return sqrt(x);
}

fn op_rsqrt(x: f32) -> f32 {
    return inverseSqrt(x);
}

fn op_reciprocal(x: f32) -> f32 {
    return 1.0 / x;
}

fn op_square(x: f32) -> f32 {
    return x * x;
}

// Near zero tanh loses its digits as a quotient of exponentials, so it is written as a series there.
fn op_tanh(x: f32) -> f32 {
    let a = min(abs(x), 15.0);
    let e = exp(2.0 * a);
    let square = a * a;
    let small = a * (1.0 - square * (0.33333334 - square * (0.13333334 - square * 0.053968254)));
    return sign(x) * select(1.0 - 2.0 / (e + 1.0), small, a < 0.2);
}

fn op_sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(min(-x, 80.0)));
}

fn op_relu(x: f32) -> f32 {
    return max(x, 0.0);
}

fn op_relu_squared(x: f32) -> f32 {
    let r = max(x, 0.0);
    return r * r;
}

fn op_silu(x: f32) -> f32 {
    return x / (1.0 + exp(min(-x, 80.0)));
}

fn op_gelu(x: f32) -> f32 {
    return x * 0.5 * (1.0 + op_erf(x * 0.70710677));
}

fn op_gelu_tanh(x: f32) -> f32 {
    return x * op_sigmoid(1.5957691 * (x + 0.044715 * x * x * x));
}

fn op_quick_gelu(x: f32) -> f32 {
    return x * op_sigmoid(1.702 * x);
}

// A quotient of two polynomials in x^2 (Eigen's, for |x| up to 4, where erf is 1 in f32).
fn op_erf(value: f32) -> f32 {
    let x = clamp(value, -4.0, 4.0);
    let s = x * x;
    var a = -2.72614225801306e-10;
    a = a * s + 2.77068142495902e-08;
    a = a * s - 2.10102402082508e-06;
    a = a * s - 5.69250639462346e-05;
    a = a * s - 7.34990630326855e-04;
    a = a * s - 2.95459980854025e-03;
    a = a * s - 1.60960333262415e-02;
    var b = -1.45660718464996e-05;
    b = b * s - 2.13374055278905e-04;
    b = b * s - 1.68282697438203e-03;
    b = b * s - 7.37332916720468e-03;
    b = b * s - 1.42647390514189e-02;
    return x * a / b;
}

fn op_softplus(x: f32) -> f32 {
    return max(x, 0.0) + log(1.0 + exp(-abs(x)));
}

fn op_add(a: f32, b: f32) -> f32 {
    return a + b;
}

fn op_sub(a: f32, b: f32) -> f32 {
    return a - b;
}

fn op_mul(a: f32, b: f32) -> f32 {
    return a * b;
}

fn op_div(a: f32, b: f32) -> f32 {
    return a / b;
}

fn op_max(a: f32, b: f32) -> f32 {
    return max(a, b);
}

fn op_min(a: f32, b: f32) -> f32 {
    return min(a, b);
}

// WGSL's pow knows no bases of zero or below; a negative base has whole exponents.
fn op_pow(a: f32, b: f32) -> f32 {
    let half = 0.5 * b;
    let odd = floor(b) == b && floor(half) != half;
    let power = pow(max(abs(a), 1.2e-38), b);
    let signed = select(power, -power, a < 0.0 && odd);
    return select(signed, select(0.0, 1.0, b == 0.0), a == 0.0);
}
