// Looks of the widget, in its shadow root. Sites change them by --va-… properties and ::part().

export const STYLE = `
:host{--a:var(--va-accent,light-dark(#4650c8,#98a6ff));--at:var(--va-accent-text,light-dark(#fff,#14162b));--s:var(--va-surface,light-dark(#fff,#1c1f2a));--t:var(--va-text,light-dark(#1d2130,#eceef6));--b:var(--va-border,light-dark(#dfe2ea,#363b4c));--q:color-mix(in oklab,var(--t) 68%,var(--s));--r:var(--va-radius,18px);--h:light-dark(#7b2fc4,#d0a2ff);--bad:light-dark(#b3261e,#ff9d93);
color-scheme:light dark;display:block;font:15px/1.45 var(--va-font,system-ui,sans-serif);color:var(--t)}
:host([theme=light]){color-scheme:light}:host([theme=dark]){color-scheme:dark}
:host([variant=launcher]),:host(:not([variant])){position:fixed;z-index:var(--va-z,2147483000);inset-block-end:var(--va-offset,20px);inset-inline-end:var(--va-offset,20px)}
:host([placement$=start]){inset-inline:var(--va-offset,20px) auto}
:host([placement^=top]){inset-block:var(--va-offset,20px) auto}
:host([variant=headless]){display:none}
*{box-sizing:border-box}[hidden]{display:none!important}
button,input{font:inherit;color:inherit}
button{cursor:pointer;border:0;background:none}
:focus-visible{outline:3px solid var(--a);outline-offset:2px}.panel:focus{outline:0}
svg{width:22px;height:22px;fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round;flex:none}
.launcher{display:flex;align-items:center;gap:10px;min-height:56px;padding:0 22px 0 18px;margin-inline-start:auto;border-radius:99px;background:var(--a);color:var(--at);font-weight:620;box-shadow:var(--va-shadow,0 6px 24px #1018403d)}
.panel{display:grid;grid-template-rows:auto auto minmax(0,1fr) auto;background:var(--s);border:1px solid var(--b);border-radius:var(--r);box-shadow:var(--va-shadow,0 12px 48px #10184024);overflow:hidden}
:host([variant=launcher]) .panel,:host(:not([variant])) .panel{width:min(370px,calc(100vw - 32px));max-height:min(620px,calc(100dvh - 40px))}
.head{display:flex;align-items:center;min-height:48px;padding:4px 6px 0 18px;font-weight:620}.head button{margin-inline-start:auto;width:44px;height:44px;border-radius:50%;display:grid;place-items:center}
.stage{display:grid;justify-items:center;gap:14px;padding:22px 20px 14px;text-align:center}
.orb{--l:0;position:relative;width:104px;height:104px;border-radius:50%;display:grid;place-items:center;background:var(--a);color:var(--at);transition:background .2s}
.orb::before,.orb::after{content:"";position:absolute;inset:0;border-radius:50%;background:var(--a);z-index:-1;opacity:.22;transform:scale(calc(1 + var(--l)*.28));transition:transform 90ms linear}
.orb::after{opacity:.12;transform:scale(calc(1 + var(--l)*.5))}
.stage{isolation:isolate}
.orb svg{width:38px;height:38px}
.orb:disabled{cursor:default}
.live .orb{width:76px;height:76px}.live .orb svg{width:28px;height:28px}
[data-state=human] .orb,[data-state=human] .orb::before,[data-state=human] .orb::after{background:var(--h)}
[data-state=error] .orb,[data-state=ended] .orb{background:var(--a)}
[data-state=connecting] .orb,[data-state=reconnecting] .orb,[data-state=permission] .orb,[data-state=thinking] .orb{animation:p 1.4s ease-in-out infinite}
@keyframes p{50%{opacity:.6}}
.bars{display:flex;gap:5px;align-items:center;height:30px}.bars i{width:5px;height:calc(7px + var(--l)*22px*var(--k,1));border-radius:3px;background:currentColor;transition:height 90ms linear}.bars i:nth-child(1),.bars i:nth-child(5){--k:.5}.bars i:nth-child(2),.bars i:nth-child(4){--k:.8}
.word{font-size:17px;font-weight:620}.sub{color:var(--q);font-size:13.5px;max-width:36ch;text-wrap:pretty}
.start{min-height:48px;padding:0 26px;border-radius:99px;background:var(--a);color:var(--at);font-weight:640;font-size:16px}
.row{display:flex;gap:8px;flex-wrap:wrap;justify-content:center}
.second{min-height:44px;padding:0 18px;border-radius:99px;border:1px solid var(--b);font-weight:560}
.err{color:var(--bad);max-width:38ch;text-wrap:pretty}
.log{margin:0;padding:4px 18px 12px;list-style:none;overflow:auto;min-height:0;max-height:270px;display:grid;gap:9px;align-content:start;scroll-behavior:smooth}
.log li{display:grid;gap:1px;max-width:88%}
.log b{font-size:12px;font-weight:560;color:var(--q)}
.log p{margin:0;padding:8px 13px;border-radius:14px;background:color-mix(in oklab,var(--t) 7%,var(--s));border-end-start-radius:5px;overflow-wrap:anywhere;width:fit-content}
.log .caller{justify-self:end;justify-items:end}.log .caller p{background:color-mix(in oklab,var(--a) 17%,var(--s));border-radius:14px;border-end-end-radius:5px}
.log .person p{background:color-mix(in oklab,var(--h) 16%,var(--s))}
.log .same{margin-top:-5px}.log .same b{display:none}.log .partial p{color:var(--q)}
.foot{display:grid;gap:10px;padding:12px 16px 14px;border-block-start:1px solid var(--b)}
.tools{display:flex;flex-wrap:wrap;gap:8px;justify-content:center}
.tools button{display:flex;align-items:center;justify-content:center;gap:8px;min-height:46px;padding:0 12px;border-radius:99px;border:1px solid var(--b);font-weight:560;flex:1 1 auto;white-space:nowrap}
.tools [aria-pressed=true]{background:color-mix(in oklab,var(--a) 16%,var(--s));border-color:var(--a)}
.tools .end{background:var(--bad);border-color:transparent;color:light-dark(#fff,#2b0f0c)}
.tools svg{width:19px;height:19px}
form{display:flex;gap:8px}input{flex:1;min-width:0;min-height:44px;padding:0 14px;border-radius:99px;border:1px solid var(--b);background:color-mix(in oklab,var(--t) 4%,var(--s))}
form button{width:44px;height:44px;border-radius:50%;background:var(--a);color:var(--at);display:grid;place-items:center;flex:none}
[data-state=human] .notice{visibility:hidden}.notice{margin:0;padding:0 18px 14px;text-align:center;font-size:12.5px;color:var(--q)}
@media (prefers-reduced-motion:reduce){*,*::before,*::after{animation:none!important;transition:none!important}.orb::before,.orb::after{transform:none}}
@media (forced-colors:active){button,.panel{border:1px solid ButtonBorder}}`;

export const ICONS = {
  mic: "M9 5.5a3 3 0 0 1 6 0v5a3 3 0 0 1-6 0zM5 11a7 7 0 0 0 14 0M12 18v3.5",
  off: "M3 3l18 18M9 9v1.500a3 3 0 0 0 5 2.200M15 9V5.500a3 3 0 0 0-5.7-1.300M5 11a7 7 0 0 0 11 5.700M19 11a7 7 0 0 1-.8 3.200M12 18v3.5",
  keys: "M3 7h18v10H3zM7 10.500h.01M11 10.500h.01M15 10.500h.01M8 14h8",
  end: "M2.5 13.500c0-3 4.5-6 9.5-6s9.5 3 9.5 6v2l-5-1v-3c-3-1-6-1-9 0v3l-5 1z",
  close: "M6 6l12 12M18 6 6 18",
  send: "M12 19V5M6 11l6-6 6 6",
  talk: "M4 10v4M8 6.500v11M12 3.500v17M16 7.500v9M20 10.500v3",
};
