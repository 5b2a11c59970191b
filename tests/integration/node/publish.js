// Publishes numbered pictures through WHIP with libwebrtc: node publish.js URL SECONDS
// The number is drawn as in tests/barcode.py: 16 blocks, and their inverse below.
'use strict'
const { RTCPeerConnection, nonstandard } = require('@roamhq/wrtc')

const [url, seconds] = [process.argv[2], Number(process.argv[3])]
const [width, height, rate, bits] = [320, 240, 30, 16]

function picture (number) {
  const data = new Uint8Array(width * height * 3 / 2).fill(128)
  const half = Math.max(2, Math.round(height * 64 / 720 / 2))
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const on = Boolean(number >> Math.floor(x * bits / width) & 1)
      const code = (y < half) === on ? 235 : 16
      data[y * width + x] = y < 2 * half ? code : (x + y + number * 6) % 200 / 2 + 70
    }
  }
  return { width, height, data }
}

async function main () {
  const connection = new RTCPeerConnection()
  const source = new nonstandard.RTCVideoSource()
  connection.addTransceiver(source.createTrack(), { direction: 'sendonly' })
  await connection.setLocalDescription(await connection.createOffer())
  if (connection.iceGatheringState !== 'complete') {
    await new Promise(resolve => {
      connection.onicegatheringstatechange = () => connection.iceGatheringState === 'complete' && resolve()
    })
  }
  const answer = await fetch(url, {
    method: 'POST', headers: { 'content-type': 'application/sdp' }, body: connection.localDescription.sdp
  })
  if (answer.status !== 201) throw new Error(`WHIP answered ${answer.status}`)
  await connection.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
  let number = 0
  const timer = setInterval(() => source.onFrame(picture(number++)), 1000 / rate)
  await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  clearInterval(timer)
  connection.close()
  process.exit(0)
}

main().catch(error => { console.error(error); process.exit(1) })
