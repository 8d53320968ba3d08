// Clicks on the timeline seek the video that is shown; a line on it follows the video.
const shown = () =>
  [...document.querySelectorAll("#clip video, #annotated-clip video")].find((video) => video.offsetParent !== null);
const duration = () => Number(element.querySelector(".timeline")?.dataset.duration || 0);
element.addEventListener("click", (event) => {
  const video = shown();
  const track = event.target.closest(".track");
  if (!video || !track) return;
  const button = event.target.closest("[data-time]");
  const box = track.getBoundingClientRect();
  // A key that presses a button has no place: the segment's start it is.
  video.currentTime =
    button && event.detail === 0 ? Number(button.dataset.time) : ((event.clientX - box.left) / box.width) * duration();
});
const follow = (event) => {
  if (!element.isConnected) return document.removeEventListener("timeupdate", follow, true);
  if (event.target !== shown() || !duration()) return;
  const place = Math.min((100 * event.target.currentTime) / duration(), 100);
  element.querySelectorAll(".playhead").forEach((line) => (line.style.left = `${place}%`));
};
document.addEventListener("timeupdate", follow, true);
