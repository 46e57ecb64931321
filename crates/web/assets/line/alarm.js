// What calls a person back at the turn: sound, vibration, a notification. All of it only after they asked for it.

const KEPT = "line-alarm";
/** Two rising tones, three times: start and frequency. */
const TONES = [0, 0.9, 1.8].flatMap((at) => [
  { at, hertz: 660 },
  { at: at + 0.22, hertz: 880 },
]);

/** The alarm of a page. */
export class Alarm {
  constructor() {
    /** @type {AudioContext | undefined} */
    this.audio = undefined;
    /** @type {WakeLockSentinel | undefined} */
    this.lock = undefined;
    this.isWanted = false;
    try {
      this.isWanted = window.localStorage.getItem(KEPT) === "on";
    } catch {
      // A browser that keeps nothing asks again.
    }
    // A browser lets a page sound only after a touch: the first one after a reload is enough.
    if (this.isWanted) window.addEventListener("click", () => this.unlock(), { once: true });
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
   * @returns {Promise<boolean>} whether notifications are allowed too
   */
  async turnOn() {
    this.isWanted = true;
    this.unlock();
    this.play(TONES.slice(0, 2), 0.08);
    try {
      window.localStorage.setItem(KEPT, "on");
    } catch {
      // It is on for this page.
    }
    try {
      return (await Notification.requestPermission()) === "granted";
    } catch {
      return false;
    }
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
    if (document.visibilityState === "visible") return;
    try {
      const note = new Notification(title, { body, tag: KEPT, requireInteraction: true });
      note.addEventListener("click", () => {
        window.focus();
        note.close();
      });
    } catch {
      // Some browsers show notifications of installed apps alone.
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
