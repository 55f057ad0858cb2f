/** Kinds of operators by what they do, each with a colour of the page's palette. */

export interface Family {
  name: string;
  colour: string;
}

const FAMILIES: [Family, RegExp][] = [
  [{ name: "Products of matrices", colour: "var(--c-blue)" }, /^(matmul|matmulnbits|matmulinteger|gemm|qgemm|einsum|fusedmatmul|fusedgemm|batchmatmul|batchmatmulv2|batch_matmul|fully_connected|qlinearmatmul|dynamicquantizematmul|linear)/],
  [{ name: "Attention", colour: "var(--c-vermilion)" }, /(attention|rotaryembedding)/],
  [{ name: "Convolution and pooling", colour: "var(--c-green)" }, /(conv|pool)/],
  [{ name: "Recurrence", colour: "var(--c-wine)" }, /^(lstm|gru|rnn|svdf|bidirectional|unidirectional|while|loop|scan|if$|case|stateless(if|while)|partitionedcall|statefulpartitionedcall)/],
  [{ name: "Normalization", colour: "var(--c-orange)" }, /(norm|softmax|lrn|local_response)/],
  [{ name: "Activation", colour: "var(--c-rose)" }, /^(relu|relu6|leakyrelu|leaky_relu|prelu|elu|selu|celu|gelu|fastgelu|biasgelu|quickgelu|silu|swish|sigmoid|logistic|hardsigmoid|hardswish|hard_swish|tanh|softplus|softsign|erf|mish|clip|thresholdedrelu)/],
  [{ name: "Quantization and types", colour: "var(--c-teal)" }, /(quantize|^cast|^bitcast|fakequant|fake_quant)/],
  [{ name: "Tables and trees", colour: "var(--c-olive)" }, /(treeensemble|linearclassifier|linearregressor|svm|labelencoder|scaler|zipmap|hashtable|lookuptable|tokenizer|stringsplit|tfidf)/],
  [{ name: "Shapes and places", colour: "var(--c-indigo-soft)" }, /^(reshape|transpose|squeeze|unsqueeze|expanddims|expand_dims|expand|concat|split|slice|strided|gather|scatter|pad|tile|flatten|shape|size|pack|unpack|resize|upsample|depthto|depth_to|spaceto|space_to|batchto|batch_to|reverse|identity|constantofshape|range|nonzero|onehot|one_hot|where|select|trilu|topk|unique|fill|zeros|ones|eyelike|compress|broadcast)/],
];
const ARITHMETIC: Family = { name: "Arithmetic and comparison", colour: "var(--c-sky)" };
const ARITHMETIC_NAMES = /^(add|addv2|biasadd|sub|mul|div|realdiv|floor|ceil|round|pow|sqrt|rsqrt|exp|log|neg|abs|min|max|minimum|maximum|sum|mean|reduce|arg|equal|not|and|or|xor|greater|less|logical|sign|sin|cos|tan|square|reciprocal|mod|cumsum|bitshift|bitwise|isnan|isinf|all|any|squareddifference|squared_difference|det|addn|add_n)/;
const OTHER: Family = { name: "Others", colour: "var(--c-grey)" };

/** The family of an operator, by its name without the domain. */
export function familyOf(op: string): Family {
  const name = op.slice(op.lastIndexOf(".") + 1).toLowerCase();
  const found = FAMILIES.find(([, names]) => names.test(name));
  return found?.[0] ?? (ARITHMETIC_NAMES.test(name) ? ARITHMETIC : OTHER);
}

/** All families, in the order of the legend. */
export const ALL_FAMILIES: readonly Family[] = [...FAMILIES.map(([family]) => family), ARITHMETIC, OTHER];
