import { describeCrashes } from './crash-suite.case.ts'

describeCrashes('claim')
