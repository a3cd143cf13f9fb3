// The page comes complete from the server and works as it is. These make it live, and spare it from being loaded again.
import { begin } from './live.js';
import './forms.js';
import './spark.js';

document.documentElement.classList.add('js');
begin();
