"""What the page of a training step draws beside its arrays: numbers in equations, and the graph.

In an equation each name of an array of at most twelve entries is replaced by its numbers: the
matrix itself, also where the equation has an index, as in ([1 2])ᵢ. The graph has a box for each
call of the forward; what goes into it is an edge, with the value on the left and on the right its
gradient, from the backward of that call.
"""

from __future__ import annotations

GRAPH_STYLE = """
.numbers{font-size:.9rem;display:flex;flex-wrap:wrap;align-items:center;gap:.3rem;margin:.4rem 0}
.numbers math{max-width:100%;overflow-x:auto;overflow-y:hidden}
.numbers mtable{border:solid #111;border-width:0 1.5px;border-radius:3px}
.numbers mtd{padding:.15em .3em;text-align:right}
#graph{max-height:26rem;overflow:auto;margin:.8rem 0}#graph:empty{display:none}
#graph svg{display:block;max-width:100%;height:auto}#graph g{cursor:pointer}
#graph rect{fill:#fff;stroke:#767676}#graph g[aria-current] rect{fill:#ddd;stroke:#111}
#graph .edge{fill:none;stroke:#767676}
"""

GRAPH_SCRIPT = r"""
const few=12,lane=8,left=60;
function math(tag,...inside){
 const e=document.createElementNS('http://www.w3.org/1998/Math/MathML',tag);
 e.append(...inside);return e}
const three=x=>digits(typeof x==='string'?x:+x.toPrecision(3));
function written(x){const text=three(x);return text[0]==='-'?
 math('mrow',math('mo','('),math('mo','−'),math('mn',text.slice(1)),math('mo',')')):
 math('mn',text)}
function entries([,index]){
 const [shape,,values]=data.arrays[index];
 if(!shape.length)return written(values[0]);
 const columns=shape[shape.length-1],table=math('mtable');
 for(let at=0;at<values.length;at+=columns)table.append(math('mtr',
  ...values.slice(at,at+columns).map(x=>math('mtd',math('mn',three(x).replace('-','−'))))));
 return table}
function fits(one){if(!one)return false;
 const [shape,,values]=data.arrays[one[1]];
 return values.length>0&&values.length<=few&&shape.length<3}
function fill(node,values,gradients){
 const parts=[...node.children];
 if(node.localName==='mi'){
  if(!fits(values[node.textContent]))return 0;
  node.replaceWith(entries(values[node.textContent]));return 1}
 if(node.localName==='mfrac'&&parts[0].textContent==='∂L'&&parts[1].children.length===2
  &&parts[1].textContent[0]==='∂'){
  const below=parts[1].children[1],indexed=below.localName==='msub',
  one=gradients[(indexed?below.children[0]:below).textContent];
  if(fits(one))node.replaceWith(indexed?math('msub',entries(one),below.children[1]):entries(one));
  return fits(one)?1:0}
 return parts.reduce((n,part,i)=>
  n+(i===1&&/^m(sub|subsup|under|underover)$/.test(node.localName)?0:fill(part,values,gradients)),0)}
function withNumbers(parent,parts,inputs,outputs,backward){
 const values={},gradients={};
 for(const one of inputs)
  if(backward&&/^d[A-Z]/.test(one[0]))gradients[one[0].slice(1)]=one;else values[one[0]]=one;
 for(const one of outputs)
  if(backward)gradients[one[0].slice(1)]=one;else values[one[0]]=one;
 for(const part of parts){
  const box=document.createElement('div');box.className='numbers';box.innerHTML=part;
  box.firstElementChild.removeAttribute('alttext');
  if(fill(box,values,gradients)>1){
   // Each part is an element of its own, so that the line can be broken between two of them.
   const whole=box.firstElementChild,pieces=[...whole.children].map(one=>math('math',one));
   pieces.forEach(one=>one.setAttribute('displaystyle','true'));
   box.replaceChildren(...pieces);parent.append(box)}}}
function brief(one){
 const [shape,,values,[low,mean]]=data.arrays[one[1]];
 if(values.length)return values.slice(0,2).map(three).join(', ')+(values.length>2?', …':'');
 return mean==='nan'?'('+shape.join(', ')+')':'mean '+three(mean)}
function words(parent,x,y,fill,content){
 const e=svg(parent,'text',{x,y,'font-size':11,fill});e.textContent=content;return e}
const boxes=new Map();
function graph(parent){
 if(!data.links.length)return;
 const forward=[],below=new Map(),backwards=new Map(),used=new Set();
 all.forEach((row,i)=>{const [of,sources]=data.links[i];
  if(row[1]===0){forward.push(i);sources.forEach(from=>used.add(from))}
  else if(row[1]===1&&of!==null)backwards.set(of,i)});
 let height=0;
 for(const i of forward)height+=16*all[i][4].length+(used.has(i)?44:62);
 const s=picture(parent,360,height+14,'Graph of the forward: what goes into each call,'+
  ' and beside it its gradient');
 words(s,left,11,'#0072b2','value');words(s,left+150,11,'#a84a00','gradient');
 let y=14,lanes=0,last=-1;
 for(const i of forward){
  const [name,,where,,inputs,outputs]=all[i],back=backwards.get(i);
  inputs.forEach((one,k)=>{
   const from=data.links[i][1][k],middle=y+8+16*k;
   if(below.has(from)){
    const x=from===last?left-8:left-16-lane*(lanes++%5);
    svg(s,'path',{class:'edge',d:`M${left} ${below.get(from)-13}H${x}V${middle}H${left-4}`})}
   svg(s,'circle',{cx:left-4,cy:middle,r:2.5,fill:below.has(from)?'#111':'#fff',stroke:'#111'});
   words(s,left+2,middle+4,'#0072b2',one[0]+' '+brief(one));
   const gradient=back===undefined?undefined:all[back][5].find(([n])=>n==='d'+one[0]);
   if(gradient)words(s,left+150,middle+4,'#a84a00','∂ '+brief(gradient))});
  y+=16*inputs.length+2;
  const box=svg(s,'g',{});boxes.set(i,box);if(back!==undefined)boxes.set(back,box);
  svg(box,'rect',{x:left,y,width:290,height:26,rx:4});
  words(box,left+8,y+17,'#111',(name===where?name:name+' · '+where).slice(0,44));
  box.onclick=()=>show(i);y+=26;below.set(i,y);last=i;
  if(!used.has(i)){const [one]=outputs,gradient=back===undefined?undefined:all[back][4][0];
   words(s,left+2,y+14,'#0072b2',one[0]+' '+brief(one));
   if(gradient)words(s,left+150,y+14,'#a84a00','∂ '+brief(gradient));y+=18}
  y+=16}}
function marked(){
 for(const box of boxes.values())box.removeAttribute('aria-current');
 if(boxes.has(at))boxes.get(at).setAttribute('aria-current','step')}
graph(document.getElementById('graph'));
"""
