import "./style.css";

import { cancelled, dismissFault, openFault, opening } from "../../state/model.ts";
import { Icon } from "../../widgets/Icon.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { CancelledCard, OpeningBar, ThemeSwitch } from "../Header/index.tsx";
import { Choosers } from "./choosers.tsx";

export function Arrival() {
  return (
    <div class="arrive">
      <div class="row corner"><div class="logo"><Icon name="cube" size={22} /><span>Glassbox</span></div><span class="push"><ThemeSwitch /></span></div>
      <div class="case">
        <Icon name="cube" size={72} />
        <h1>Drop a model, or a whole folder</h1>
        <p class="muted">Look inside it, see how it splits text, run it on your own machine.</p>
        <Choosers />
        <div class="small muted promise">
          <p>Reads GGUF, safetensors, ONNX, PyTorch, TensorFlow, Keras, TFLite, NumPy and older GGML files, and Hugging Face folders. Runs language models and encoders of more than fifty architectures.</p>
          <p>Files are read in pieces, never whole.</p>
          <p>Nothing leaves this machine, and nothing is fetched that you did not ask for.</p>
        </div>
      </div>
      <div class="below" aria-live="polite">
        {opening.value !== null ? <div class="card"><OpeningBar /></div> : null}
        {openFault.value !== null ? <FaultCard title="That could not be opened" fault={openFault.value} onDismiss={dismissFault} /> : null}
        {cancelled.value !== null ? <CancelledCard /> : null}
      </div>
    </div>
  );
}
