import Daemon
import SQLProjectionProgram

await SQLProjectionProgram.main()
