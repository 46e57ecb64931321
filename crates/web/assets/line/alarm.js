// What calls a person back at the turn: sound, vibration, a notification. All of it only after they asked for it.

/**
 * What the alarm can do in this browser: sound and alerts; sound, as alerts are blocked; sound, as there are no alerts;
 * nothing.
 * @typedef {"on" | "denied" | "sound" | "none"} Reach
 */

/** Under this name the browser keeps that it was turned on: `alerts` if they work, else `sound`. */
const KEPT = "line-alarm";
/** Two rising tones, three times: start and frequency. */
const TONES = [0, 0.9, 1.8].flatMap((at) => [
  { at, hertz: 660 },
  { at: at + 0.22, hertz: 880 },
]);

/** The alarm of a page. */
export class Alarm {
  /** @param {(reach: Reach) => void} onReady called once an alarm that was on before a reload is on again */
  constructor(onReady) {
    /** @type {AudioContext | undefined} */
    this.audio = undefined;
    /** @type {WakeLockSentinel | undefined} */
    this.lock = undefined;
    /** @type {string | null} */
    let kept = null;
    try {
      kept = window.localStorage.getItem(KEPT);
    } catch {
      // A browser that keeps nothing asks again.
    }
    this.isWanted = kept !== null;
    this.mayAlert = kept === "alerts" && permission() === "granted";
    // A browser lets a page sound only after a touch: the first one after a reload is enough.
    const unlock = () => {
      this.unlock();
      onReady(this.reach);
    };
    if (this.isWanted) window.addEventListener("click", unlock, { once: true });
  }

  /**
   * What it can do.
   * @returns {Reach}
   */
  get reach() {
    if (!this.audio) return "none";
    if (this.mayAlert) return "on";
    return permission() === "denied" ? "denied" : "sound";
  }

  unlock() {
    try {
      this.audio ??= new AudioContext();
      void this.audio.resume();
    } catch {
      this.audio = undefined;
    }
  }

  /**
   * Turns it on, by a person's own touch.
   * @param {string} title of the alerts
   * @returns {Promise<Reach>}
   */
  async turnOn(title) {
    this.isWanted = true;
    this.unlock();
    this.play(TONES.slice(0, 2), 0.08);
    try {
      this.mayAlert = (await Notification.requestPermission()) === "granted";
      // Some browsers allow alerts and show those of installed apps alone: only trying tells.
      if (this.mayAlert) new Notification(title, { tag: KEPT, silent: true }).close();
    } catch {
      this.mayAlert = false;
    }
    try {
      window.localStorage.setItem(KEPT, this.mayAlert ? "alerts" : "sound");
    } catch {
      // It is on for this page.
    }
    return this.reach;
  }

  /**
   * @param {{ at: number, hertz: number }[]} tones
   * @param {number} loudness
   */
  play(tones, loudness) {
    const audio = this.audio;
    if (!audio) return;
    for (const { at, hertz } of tones) {
      const start = audio.currentTime + at;
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      tone.frequency.value = hertz;
      volume.gain.setValueAtTime(0, start);
      volume.gain.linearRampToValueAtTime(loudness, start + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.001, start + 0.2);
      tone.connect(volume).connect(audio.destination);
      tone.start(start);
      tone.stop(start + 0.21);
    }
  }

  /**
   * Calls: the turn has come.
   * @param {string} title
   * @param {string} body
   */
  call(title, body) {
    if (!this.isWanted) return;
    this.play(TONES, 0.25);
    navigator.vibrate?.([300, 150, 300, 150, 600]);
    if (!this.mayAlert || document.visibilityState === "visible") return;
    try {
      const note = new Notification(title, { body, tag: KEPT, requireInteraction: true });
      note.addEventListener("click", () => {
        window.focus();
        note.close();
      });
    } catch {
      this.mayAlert = false;
    }
  }

  /** Keeps the screen on while someone waits in front of it. */
  async stayAwake() {
    if (document.visibilityState !== "visible" || (this.lock && !this.lock.released)) return;
    try {
      this.lock = await navigator.wakeLock.request("screen");
    } catch {
      // Not supported, or the battery is low.
    }
  }

  rest() {
    void this.lock?.release();
    this.lock = undefined;
  }
}

/** What the browser says about alerts; `default` too if it knows none, or shows none on this address. */
function permission() {
  if (typeof Notification !== "function" || !window.isSecureContext) return "default";
  return Notification.permission;
}
