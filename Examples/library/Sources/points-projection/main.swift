import Daemon
import Loyalty

await PointsProgram.main()
